// The charts of report.html as Vega-Lite specifications. Data go in as data, never into an
// expression, so that no name can be more than a name.
"use strict";

const specs = (() => {
  const score = (higher, title) => ({
    field: "score",
    type: "quantitative",
    title,
    scale: { zero: false, nice: true, reverse: !higher },
    axis: { tickCount: 6 },
  });
  const hover = (field, name = "hover") => ({
    name,
    select: { type: "point", on: "pointerover", clear: "pointerout", fields: [field] },
  });
  const whenHovered = (then, otherwise) => ({
    condition: { param: "hover", empty: false, value: then },
    value: otherwise,
  });

  // Below the chart in so many columns that fit, or to the right of it.
  const legend = (theme, columns) => columns
    ? { orient: "bottom", columns, labelLimit: theme.width / columns - 40 }
    : { orient: "right", labelLimit: 170 };

  // Common to all charts: the size of the container and the colours of the page.
  function chart(theme, height, description, rest) {
    const text = { labelColor: theme.muted, titleColor: theme.muted, labelFontSize: 12, titleFontSize: 12 };
    return {
      $schema: "https://vega.github.io/schema/vega-lite/v6.json",
      width: "container",
      height,
      description,
      background: null,
      autosize: { type: "fit", contains: "padding" },
      padding: 2,
      config: {
        font: theme.font,
        view: { stroke: null },
        axis: {
          ...text,
          titleFontWeight: 500,
          titlePadding: 10,
          gridColor: theme.line,
          domain: false,
          ticks: false,
          labelPadding: 6,
          labelLimit: theme.narrow ? 90 : 160,
        },
        legend: { ...text, titleFontWeight: 500 },
        range: { category: theme.palette },
        text: { color: theme.text },
      },
      ...rest,
    };
  }

  // Score against depth, a line for each source; the first few have colours and names.
  function depth(data, theme) {
    const x = {
      field: "depth",
      type: "quantitative",
      title: data.depthTitle,
      scale: { domain: [0, 1] },
      axis: { format: ".0%", grid: false, tickCount: 5 },
    };
    const colour = {
      field: "group",
      type: "nominal",
      title: null,
      scale: { domain: data.groups, range: data.groups.map((_, i) => (i < data.named ? theme.palette[i] : theme.faint)) },
      legend: { ...legend(theme, theme.narrow ? 2 : 0), symbolOpacity: 1, symbolType: "circle", symbolSize: 90 },
    };
    const line = { x, y: score(data.higher, data.scoreTitle), order: { field: "depth" }, detail: { field: "model" } };
    const lines = (mark, transform, encoding) => ({
      transform,
      mark: { type: "line", aria: false, ...mark },
      encoding: { ...line, ...encoding },
    });
    const many = data.values.length > 400;
    const points = (param, filter, opacity) => ({
      transform: [{ filter }],
      params: [hover("model", param)],
      mark: { type: "point", filled: true, size: many ? 24 : 60, opacity, tooltip: { content: "data" } },
      encoding: { x, y: line.y, color: colour, description: { field: "label" } },
    });
    const hovered = { or: [{ param: "hover", empty: false }, { param: "hoverOther", empty: false }] };
    return chart(theme, theme.narrow ? 340 : 420, data.description, {
      data: { values: data.values },
      layer: [
        ...reference(data, theme),
        {
          // Segments, because a line mark costs Vega a millisecond for each of hundreds of sources.
          transform: [{ filter: "!datum.named && isValid(datum.nextDepth)" }],
          mark: { type: "rule", opacity: many ? 0.35 : 0.7, aria: false },
          encoding: { x, x2: { field: "nextDepth" }, y: line.y, y2: { field: "nextScore" }, color: colour },
        },
        points("hoverOther", "!datum.named", many ? 0.6 : 1),
        lines({ strokeWidth: 2.5 }, [{ filter: "datum.named" }], { color: colour }),
        lines({ strokeWidth: 4 }, [{ filter: hovered }], { color: { value: theme.text } }),
        points("hover", "datum.named", 1),
      ],
    });
  }

  // The raw input without any network, as a line across.
  function reference(data, theme) {
    if (data.reference === null) return [];
    const values = [{ score: data.reference, text: "raw input, without a network" }];
    const y = { field: "score", type: "quantitative" };
    return [
      { data: { values }, mark: { type: "rule", strokeDash: [5, 4], color: theme.muted, aria: false }, encoding: { y } },
      ...label(theme, { data: { values }, encoding: { x: { value: 0 }, y, text: { field: "text" } } },
        { align: "left", dx: 4, dy: -7, fontSize: 11, color: theme.muted }),
    ];
  }

  // A text that lines behind it do not strike through.
  function label(theme, layer, mark) {
    const halo = { stroke: theme.background, strokeWidth: 4, strokeJoin: "round", color: theme.background };
    return [{ ...mark, ...halo }, mark].map((each) => ({ ...layer, mark: { type: "text", aria: false, ...each } }));
  }

  // Score against a cost, with what no other encoding beats in both.
  function cost(data, theme) {
    const x = {
      field: "cost",
      type: "quantitative",
      title: data.costTitle,
      scale: { type: "log", nice: false, padding: 14 },
      axis: { grid: false, tickCount: theme.narrow ? 4 : 7, format: "~s" },
    };
    const y = score(data.higher, data.scoreTitle);
    const front = data.values.filter((value) => value.front);
    const layers = [
      ...reference(data, theme),
      {
        data: { values: front },
        mark: { type: "line", interpolate: "step-after", color: theme.accent, strokeWidth: 2, opacity: 0.7, aria: false },
        encoding: { x, y, order: { field: "cost" } },
      },
      {
        params: [hover("label")],
        mark: { type: "point", filled: true, tooltip: { content: "data" } },
        encoding: {
          x,
          y,
          color: { condition: { test: "datum.front", value: theme.accent }, value: theme.faint },
          size: { condition: { test: "datum.front", value: 110 }, value: data.values.length > 400 ? 26 : 60 },
          opacity: whenHovered(1, 0.9),
          stroke: whenHovered(theme.text, null),
          description: { field: "label" },
        },
      },
    ];
    if (!theme.narrow && front.length <= 7) {
      // To the right of the cheapest, which may lie at the axis; to the left of the others.
      const cheapest = Math.min(...front.map((value) => value.cost));
      const sides = [["left", 9, (value) => value.cost === cheapest], ["right", -9, (value) => value.cost !== cheapest]];
      for (const [align, dx, side] of sides) {
        const layer = { data: { values: front.filter(side) }, encoding: { x, y, text: { field: "model" } } };
        layers.push(...label(theme, layer, { align, dx, dy: -10, fontSize: 12, limit: 190 }));
      }
    }
    return chart(theme, theme.narrow ? 340 : 420, data.description, { data: { values: data.values }, layer: layers });
  }

  // The silhouette of every sample drawn, class by class, each from best to worst (Rousseeuw, 1987).
  function silhouettes(data, theme) {
    const y = { field: "top", type: "quantitative", axis: null, scale: { domain: [data.height, 0], nice: false, zero: false } };
    return chart(theme, Math.max(theme.narrow ? 300 : 400, Math.min(900, 22 * data.labels.length + 60)), data.description, {
      layer: [
        {
          data: { values: data.values },
          params: [hover("row")],
          mark: { type: "rect", tooltip: { content: "data" }, aria: false },
          encoding: {
            y,
            y2: { field: "bottom" },
            x: {
              field: "silhouette",
              type: "quantitative",
              title: "silhouette",
              scale: { domain: data.domain, nice: false },
              axis: { values: [-1, -0.75, -0.5, -0.25, 0, 0.25, 0.5, 0.75, 1], format: ".2~f" },
            },
            x2: { datum: 0 },
            color: { field: "class", type: "nominal", legend: null, scale: { domain: data.classes, range: theme.classes } },
            opacity: whenHovered(1, 0.85),
          },
        },
        {
          data: { values: [{ mean: data.mean }] },
          mark: { type: "rule", strokeDash: [5, 4], color: theme.text, aria: false },
          encoding: { x: { field: "mean", type: "quantitative" } },
        },
        {
          data: { values: data.labels },
          mark: { type: "text", align: "left", fontSize: 12, limit: theme.narrow ? 70 : 110, aria: false },
          encoding: { x: { value: 2 }, y: { ...y, field: "middle" }, text: { field: "class" } },
        },
      ],
    });
  }

  // How near classes lie: 1 is as near as samples of one class are to each other.
  function nearness(data, theme) {
    const side = (title, rest) => ({ type: "nominal", title: null, sort: data.order, axis: { ...rest, labelLimit: 90, grid: false }, ...title });
    const size = Math.max(240, Math.min(theme.narrow ? 320 : 460, 26 * data.order.length + 60));
    return chart(theme, size, data.description, {
      data: { values: data.values },
      params: [hover("pair")],
      mark: { type: "rect", tooltip: { content: "data" }, aria: data.order.length <= 12, cornerRadius: data.order.length <= 20 ? 2 : 0 },
      encoding: {
        x: side({ field: "one" }, { labelAngle: data.order.length > 8 || theme.narrow ? -60 : 0 }),
        y: side({ field: "other" }, {}),
        color: {
          field: "nearness",
          type: "quantitative",
          scale: { domain: [1, data.far], range: [theme.accent, theme.surface], clamp: true, interpolate: "lab" },
          legend: { title: "distance", orient: "bottom", gradientLength: 160, format: ".2~f", tickCount: 3 },
        },
        stroke: whenHovered(theme.text, null),
        description: { field: "label" },
      },
    });
  }

  // Samples in two dimensions.
  function plane(data, theme) {
    const axis = (domain) => ({
      axis: { labels: false, grid: false },
      type: "quantitative",
      scale: { domain, zero: false, nice: false },
    });
    return chart(theme, theme.narrow ? 340 : 440, data.description, {
      data: { values: data.values },
      params: [hover("row")],
      mark: { type: "point", filled: true, tooltip: { content: "data" } },
      encoding: {
        x: { field: "x", title: "first principal component", ...axis(data.across) },
        y: { field: "y", title: "second component", ...axis(data.up) },
        color: {
          field: "class",
          type: "nominal",
          title: null,
          scale: { domain: data.classes, range: theme.classes },
          legend: data.classes.length > 20 ? null : legend(theme, Math.min(theme.narrow ? 4 : 5, data.classes.length)),
        },
        shape: { field: "class", type: "nominal", title: null, scale: { domain: data.classes } },
        size: whenHovered(220, 45),
        opacity: whenHovered(1, 0.75),
        stroke: whenHovered(theme.text, null),
        description: { field: "label" },
      },
    });
  }

  return { depth, cost, silhouettes, nearness, plane };
})();

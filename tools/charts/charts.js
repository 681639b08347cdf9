// What report.html needs of Vega and Vega-Lite. Expressions are interpreted, so that the page
// can forbid eval.
import { parse, View } from "vega";
import { expressionInterpreter } from "vega-interpreter";
import { compile } from "vega-lite";

/** A view of a Vega-Lite specification whose expressions are interpreted. */
export function view(spec, options) {
  const parsed = parse(compile(spec).spec, null, { ast: true });
  return new View(parsed, { ...options, expr: expressionInterpreter });
}

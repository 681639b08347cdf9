def introduction(*a):
    return "intro"


def findings(*a):
    return "findings"

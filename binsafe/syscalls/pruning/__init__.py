"""Numbers -> those without the calls that the code could make and never does, each rule with its proof.

A rule may only take away what its proof covers: where one step of it is not seen, the call stays.

    unreferenced      functions of static glibc programs that nothing leads to: ``functions`` tells real references from
                      bytes that look like some, ``memory`` what data refers to; ``name_services`` knows the resolver
    fallbacks         code that runs only where the kernel does not know a call before it
    decided_branches  code behind branches that always go the same way; ``constant_propagation`` follows a function
                      for the constants that it is given, ``spawning`` knows the child of posix_spawn (``actions`` and
                      ``musl_actions`` its file actions)
    go                what Go's runtime and library never do, or only where something is used; ``go_dominance`` and
                      ``go_attributes`` are its proofs
    dead_paths        paths that are never taken, in stripped programs; ``dominance`` is the proof, ``threads`` knows
                      what makes threads
    musl              what musl does for attributes that a program never sets
"""

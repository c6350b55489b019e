"""The sandbox that Linux offers an ordinary user: empty namespaces, seccomp, Landlock, and a supervisor outside.

On the supervisor's side, in the order of a start:

backend     the mechanism, where there are namespaces       fallback    where they are refused
starting    starts the stage, takes over its listener       explain     a step that failed, in words that help
confining   policy -> the stage with it: layout, stand_ins, cargo, destinations, planning (pathcalls, alone), streams
supervisor  the calls that wait (watching): notifications -> answering, by what they ask for:
              grafting, connecting (sockets)      ports and connections
              reaching (neighbours)               other processes
              owned, loading, terminals           its own files, code in files, the terminal's modes
              limiting, refusing                  limits; everything else
denials     what is denied (describing), in its user's words
lookups     files that were missed (given, expected), and the grant for them (offering); not looked for where that asks
            another machine (elsewhere)
process     the handle                                      probing     what this machine can hold (the doctor)

Inside, with nothing loaded but what each start needs:

stage       out of the host: user, namespaces, pid 1        root idmaps the file system
becoming    the last steps, and execve                      failing     a step that cannot be done
trial       what the doctor runs there

On both sides: messages, what the two say to each other, inside, and `binsafe.kernel`, the calls that Python lacks.
"""

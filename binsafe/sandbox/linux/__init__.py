"""The sandbox that Linux offers an ordinary user: empty namespaces, seccomp, Landlock, and a supervisor outside.

An `Order` (policy and sealed bytes) comes in, a `Process` goes out. In between, a fresh interpreter called the *stage*
shuts itself in and becomes the program, while the *supervisor*, a thread of ours, answers the calls that the filter
makes wait.

The mechanism:

backend         with namespaces
fallback        without, where the machine refuses them
probing         what this machine can hold, tried out for the doctor (`trial` is what runs inside)
explain         what a step that failed means, and what would help

From the policy to the plan that the stage follows:

confining       does all of it, in this order
destinations    the names that connections are granted to -> addresses
cargo           sealed copies of the files that run
layout          what lies where inside; stand_ins: files that are made up, for /etc and /proc
planning        executable, limits, filter and rules, as one plan
  pathcalls       calls that name a file, which the filter may have wait
  alone           calls that name a process, in the forms that mean the program itself: the filter lets them through
streams         standard input, output and error as descriptors
starting        starts the stage, first of all; sends it the plan, and takes its filter's listener over

While the program runs:

supervisor      waits for calls, and notices when the program starts and ends
notifications   a call that waits, as the kernel hands it over
watching        what is known of the policy
answering       the answer to each call, with the help of
  grafting        bind and listen: a granted port outside       connecting  granted connections; sockets: for both
  reaching        calls that name another process               neighbours  the processes inside, by their numbers
  owned           its own file, mappings, open files            loading     code that it maps from files
  terminals       the modes of its terminal                     limiting    limits that it would raise
  refusing        the error that a call which is not granted ends with
denials         a refused call -> a violation                   describing  in words, with the option that grants it
lookups         files that the program missed; with
  given           what lies inside                              expected    what everybody looks for, and does without
  offering        what would grant a path                       elsewhere   where to look would ask another machine
  working_folder  its user's, where that is not there inside
process         the handle

Inside, with nothing loaded but what each start needs:

stage           out of the host: user, namespaces, pid 1
root            the file system; idmaps: granted folders of a sandbox that root starts
becoming        the last steps, and execve
failing         how a step that cannot be done is told

On both sides: `messages`, what the two say to each other; `inside`, what the program sees of itself; and
`binsafe.kernel`, the system calls that Python lacks.
"""

"""The semantics of instructions, for each processor.

machine         the interface that both implement, and the types of its answers
edges           the types of what scans find: branches, addresses that are named and how they are used
x86_64, arm64   the two implementations: conventions, and tables of functions from the modules below

Of each processor, with its name before:

    _scans      branches, system calls and addresses, found by scanning bytes without decoding
    _branches   where branches lead, and the conditions of conditional ones
    _tables     jump tables
    _addresses  addresses that instructions name, and what is done with one that a register holds
    _frames     where the stack pointer and its copies point, and which stack slots escape
    _values     data flow: where the value of a register or stack slot comes from
    _execution  the other direction: what registers hold after an instruction (x86-64)
    _registers  names of registers (x86-64)
    _pushes     pushes and pops (x86-64)
    _skimming   numbers of system calls, as far as bytes tell them (x86-64)
    _held       how registers get addresses of code (x86-64)
    _sums       additions to such addresses
    _veneers    instructions that a linker moved (arm64)
    _displacements  what is reached from the address of another variable or entry
    large_model what x86-64's large code model does for addresses

held            addresses of code in registers, and what is added to them
conditions      conditions of branches, of both processors
arithmetic      operations on a number along its def-use chain
"""

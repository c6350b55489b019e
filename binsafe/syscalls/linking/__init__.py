"""A file that is linked with others -> its summary; summaries -> one graph of all files, and what of it can run.

one file:
  graph            functions and tables of pointers, and what each of them can lead to
  objects          where data objects start, and which of them hold pointers
  implicit_edges   ways into functions that no reference states
  exports          what it defines for others
  outgoing         what it passes to functions of other files
  texts            names of files and functions that it looks up at run time
  folders          paths of folders in which a program may have modules
  summarising      all of that, and its entries -> ``summary``, which can be kept
  prelinked        the same of a program and an interpreter that meet at fixed addresses
  conditions       edges and calls that count on occasions only
  known_libraries  those of known libraries, and what such libraries do through memory
  c_library        what summaries show of glibc
all files:
  provider         where the libraries come from: the outside world, passed in
  composing        names bound as the dynamic linker binds them
  reach            what can run
  passing          numbers that one file passes to a wrapper in another
  argument_proofs  what is proved of arguments by all that the files say
"""

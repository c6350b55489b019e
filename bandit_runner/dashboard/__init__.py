"""What people look at: live and stored runs as pages, and the API beside them, on a port of their own.

    progress.py   requests of a run -> frames: what was known after the n-th id, bounded however long a run is
    views.py      store -> what a page or the API shows (pure but for reading the store)
    truths.py     what the servers told of themselves, where they did
    api.py        /api/..., /events: the same as JSON and server-sent events
    guard.py      who may ask: loopback names, this origin, or a token
    charts.py     views -> chart options, made of what is in drawing.py
    pages/        live, learn, compare: widgets, around what is without (choosing, viewing, panels)
    app.py        all of it as one application; serve() runs it
    watching.py   ends it with whoever started it

It reads the store of runs and nothing else, so it works beside any `start`, after it, and over stored runs alone; it
cannot slow a balancer down. Needs the extra ``dashboard``.
"""

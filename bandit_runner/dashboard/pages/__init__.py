"""The pages: live (what runs, or how a stored run went), learn (Thompson sampling by hand), compare (all runs).

frame                       what all pages share
choosing viewing            the live page without widgets: what is looked at, and the picture that follows
panels sandbox exporting    its parts: figures and charts, what holds the servers, all charts as one picture
"""

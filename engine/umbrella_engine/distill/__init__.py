"""Training for a resident pair: a draft of any target, fill-in-the-middle for a target without.

`corpus` reads code folders into documents, `rows` lays them out as an editor's prompts, `data`
keeps the rows; `fim` and `draft` are what is learned, `training` the loop around either. Nothing
that serves requests imports from here.
"""

"""The live page: a running scan in a browser, on Bokeh's server."""

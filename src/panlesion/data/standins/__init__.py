"""Writers of drawn cases in the layouts of public datasets, so that what reads those can be run without them."""

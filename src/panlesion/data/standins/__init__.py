"""Stand-ins of public datasets: any annotated CTs written in a dataset's published layout, for tests and dry runs."""

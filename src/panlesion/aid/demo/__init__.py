"""Two drawn patients for a first look: bodies nobody has, with lesions, as real DICOM series."""

"""What lesions of each type are like in the population: numbers with their sources."""

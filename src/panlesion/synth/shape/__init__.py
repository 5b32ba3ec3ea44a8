"""Where a lesion's matter is: level functions in mm on a grid, negative inside."""

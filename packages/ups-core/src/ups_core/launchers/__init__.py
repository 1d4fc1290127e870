"""How a step's processes are started: by torch elastic, as a Slurm job, on a rented machine."""

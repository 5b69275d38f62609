"""What the tutorial shows of real trainings and real torch: made once by these scripts, kept in tutorial/data."""

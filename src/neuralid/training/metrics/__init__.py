"""How close drawn faces are to real ones; `table` names the metrics, `judge` runs them."""

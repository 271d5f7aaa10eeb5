"""The runner of the race: builds peers, measures them in turn, writes the tables and the chart."""

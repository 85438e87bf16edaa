"""Reads a scrape as a scraper does: OpenMetrics or Prometheus text from standard input.

Prints each family as JSON: its name, type and samples.
"""

import json
import sys

from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as prometheus

parse = {"openmetrics": open_metrics, "prometheus": prometheus}[sys.argv[1]]
families = [
    {
        "name": family.name,
        "type": family.type,
        "help": family.documentation,
        "samples": [[sample.name, sample.labels, sample.value] for sample in family.samples],
    }
    for family in parse(sys.stdin.read())
]
json.dump(families, sys.stdout)

"""Optimizely's Python SDK, unmodified, decides through the `stickystore` command.

Usage: decide.py COMMAND STORE. It prints what it saw, a line of JSON each, and fails
where that is not what it should be.
"""

import json
import subprocess
import sys

from optimizely import optimizely, version
from optimizely.event.event_processor import ForwardingEventProcessor
from optimizely.helpers.sdk_settings import OptimizelySdkSettings

USER = "ann"
EXPERIMENT = "exp1"
OTHER = "exp2"


class Store:
    """The SDK's User Profile Service: a run of the command for each call."""

    def __init__(self, command, store):
        self.command, self.store = command, store
        self.is_down, self.reports, self.failures = False, [], []

    def lookup(self, user_id):
        if self.is_down:
            raise RuntimeError("the store is down, as this test wants it")
        # 1 says that nothing is kept of this user; what is printed is a profile all the same.
        return json.loads(self.run("lookup", user_id, "--json"))

    def save(self, user_profile):
        # 1 says that something was kept.
        self.reports.append(json.loads(self.run("save", "--json", text=json.dumps(user_profile))))

    def run(self, *arguments, text=""):
        ran = subprocess.run(
            [self.command, *arguments, "--store", self.store], input=text, capture_output=True, text=True
        )
        if ran.returncode not in (0, 1):
            # The SDK swallows what its service raises.
            self.failures.append(f"{arguments[0]}: exit code {ran.returncode}: {ran.stderr}")
            raise RuntimeError(self.failures[-1])
        return ran.stdout


class Nowhere:
    """Sends no event."""

    @staticmethod
    def dispatch_event(_event):
        pass


def experiment(name, weights):
    """An experiment whose variations have these shares of the traffic, of 10000."""
    end, allocation = 0, []
    for variation, weight in weights.items():
        end += weight
        allocation.append({"entityId": f"{name}-{variation}", "endOfRange": end})
    return {
        "id": name,
        "key": name,
        "layerId": f"layer-{name}",
        "status": "Running",
        "audienceIds": [],
        "forcedVariations": {},
        "variations": [{"id": f"{name}-{variation}", "key": variation} for variation in weights],
        "trafficAllocation": allocation,
    }


def flag(name):
    return {"id": f"flag-{name}", "key": name, "rolloutId": "", "experimentIds": [name], "variables": []}


def datafile(weights):
    """Two flags, each with one experiment; the first has these weights."""
    return json.dumps({
        "version": "4", "projectId": "1", "accountId": "1", "revision": "1", "anonymizeIP": True, "botFiltering": False,
        "groups": [], "events": [], "attributes": [], "audiences": [], "typedAudiences": [], "rollouts": [],
        "experiments": [experiment(EXPERIMENT, weights), experiment(OTHER, {"on": 10000})],
        "featureFlags": [flag(EXPERIMENT), flag(OTHER)],
    })


def decide(service, weights, name=EXPERIMENT):
    """What a new client decides with this datafile, and what became of its save."""
    client = optimizely.Optimizely(
        datafile(weights),
        user_profile_service=service,
        event_processor=ForwardingEventProcessor(Nowhere),
        settings=OptimizelySdkSettings(odp_disabled=True),
    )
    assert client.is_valid, "the SDK takes the datafile"
    decision = client.create_user_context(USER).decide(name)
    client.close()
    if service is None:
        return decision.variation_key, []
    assert not service.failures, service.failures
    reports, service.reports = service.reports, []
    return decision.variation_key, [report["entries"] for report in reports]


def see(what, seen, expected):
    print(json.dumps({"sdk": f"optimizely-python {version.__version__}", "what": what, "seen": seen}))
    if seen != expected:
        sys.exit(f"{what}: expected {json.dumps(expected)}")


def main():
    service = Store(*sys.argv[1:])
    red, blue = {"red": 10000, "blue": 0}, {"red": 0, "blue": 10000}
    without_red = {"blue": 10000}

    see("without a store the traffic decides", decide(None, blue)[0], "blue")
    see("first decision", decide(service, red), ("red", [{EXPERIMENT: {"outcome": "inserted"}}]))
    _, reports = decide(service, red, OTHER)
    see("another experiment is saved beside it", outcomes(reports), [{EXPERIMENT: "unchanged", OTHER: "inserted"}])
    see("the traffic has moved, the user stays", decide(service, blue), ("red", []))
    variation, reports = decide(service, without_red)
    see("the variation is gone, the user is bucketed anew", variation, "blue")
    see("the receipt proves the save", outcomes(reports), [{EXPERIMENT: "replaced", OTHER: "unchanged"}])
    service.is_down = True
    variation, reports = decide(service, red)
    service.is_down = False
    see("a lookup failed, the SDK decides anew", variation, "red")
    see("such a save proves nothing", outcomes(reports), [{EXPERIMENT: "kept"}])
    see("the new one stays when the old one returns", decide(service, red), ("blue", []))
    see("the other experiment was never touched", decide(service, red, OTHER), ("on", []))


def outcomes(reports):
    return [{key: entry["outcome"] for key, entry in entries.items()} for entries in reports]


if __name__ == "__main__":
    main()

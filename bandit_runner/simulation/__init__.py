"""The tiers as environments without sockets: strategies -> scores, with what chance alone explains.

    scenario.py     YAML -> Scenario; the project's own six are in scenarios/
    limiters.py     rate limits as functions of time
    world.py        Scenario + seed -> servers that answer
    play.py         strategy + world -> the RunResult of one run, in simulated time
    clairvoyant.py  who knows the servers: greedy, by shadow prices, and the bound
    experiment.py   tasks -> results, on one core, many, or a cluster
    comparison.py   results -> rows with intervals, paired differences, when to stop
    table.py        rows and differences -> text
    truth.py        what the stand-in tells of its servers -> regret of a run of real ones
    ranking.py      the blog's ranking of single runs, beside one with intervals

Nothing here reads a clock or draws a random number that a seed does not fix.

>>> task = Task(strategy="v6-fixed", scenario=load("T2h"), scoring=Scoring(), requests=100, seeds=(1, 2))
>>> [result.accepted for result in run(task)] == [result.accepted for result in run(task)]
True
"""

from bandit_runner.model import Scoring
from bandit_runner.simulation.clairvoyant import CLAIRVOYANTS, bound
from bandit_runner.simulation.experiment import BOUND, CLAIRVOYANT, Experiment, Task, check, play_all, run
from bandit_runner.simulation.play import Player, RunResult, play
from bandit_runner.simulation.scenario import NAMES, Scenario, load
from bandit_runner.simulation.world import World

__all__ = [
    "BOUND",
    "CLAIRVOYANT",
    "CLAIRVOYANTS",
    "NAMES",
    "Experiment",
    "Player",
    "RunResult",
    "Scenario",
    "Scoring",
    "Task",
    "World",
    "bound",
    "check",
    "load",
    "play",
    "play_all",
    "run",
]

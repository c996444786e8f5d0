"""How does an author find out whether a plugin is fit to run?

In a test of one's own:

    from plugins.testkit import assert_fit, load_samples

    def test_the_plugin_keeps_the_contract() -> None:
        assert_fit(MyPlugin)

    def test_what_it_finds() -> None:
        game = load_samples()["SH5eqL8e"]
        assert MyPlugin().analyse(game) == MyResult(...)

On the command line: `scoresheet plugin check my_plugin`.
"""

from plugins.testkit.check import Problem, Report, assert_fit, check_plugin
from plugins.testkit.samples import load_samples, odd_games

__all__ = ["Problem", "Report", "assert_fit", "check_plugin", "load_samples", "odd_games"]

"""`python -m tests.situations [PART OF A TITLE]`: each situation with its verdict."""

from __future__ import annotations

import sys

from tests.situations.judging import play, wrong_in
from tests.situations.reading import situations


def main(arguments: list[str]) -> int:
    """Play all of them, or those whose title has the given part; that with all we did."""
    part = " ".join(arguments).casefold()
    chosen = [each for each in situations() if part in each.title.casefold()]
    passed = 0
    for number, each in enumerate(chosen, 1):
        played = play(each.script)
        wrong = wrong_in(played, each.right)
        passed += not wrong
        print(f"{number:3} {'WRONG' if wrong else 'right'}  {each.title}")
        for claim in wrong:
            print(f"          it isn't so that it {claim}")
        if part or wrong:
            for done in played.done:
                print(
                    f"          {done.at:6.2f} {done.what} {done.to} {done.cue} {done.text} {done.why}"
                )
    print(f"passed={passed}/{len(chosen)}")
    return 0 if passed == len(chosen) == len(situations()) or (part and passed) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""A page's named shell blocks, and what is wrong with a page, by line."""

from __future__ import annotations

from pathlib import Path

import pytest

from blackstart.model.errors import ConfigError
from blackstart.runbook.parse import Block, parse, read_runbook

PAGE = """# Store lost

Which run is it?

```sh {name=find}
RUN=${RUN:-7}
```

1. Bring the copy:

   ```bash { name="restore it" phase=copy interactive=false }
   if true; then
     echo '```'
   fi
   ```

~~~~sh {phase='verify', name=look}
cat <<'END'
~~~
END
~~~~

An example, for reading:

```sh
rm -rf /
```

```sql {name=query}
SELECT 1
```
"""
PATH = Path("runbooks/store-lost.md")


def test_named_shell_blocks_are_steps_in_the_order_of_the_page() -> None:
    book = parse(PAGE, PATH)
    assert book.name == "store-lost"
    assert book.blocks == (
        Block("find", "", "RUN=${RUN:-7}\n", 5),
        Block("restore it", "copy", "if true; then\n  echo '```'\nfi\n", 11),
        Block("look", "verify", "cat <<'END'\n~~~\nEND\n", 17),
    )


def test_steps_come_in_the_order_asked_for() -> None:
    assert [block.name for block in parse(PAGE, PATH).steps("look", "find", "look")] == [
        "look",
        "find",
        "look",
    ]


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (("find", "repair"), "store-lost.md: no step 'repair'; there are: find, restore it, look"),
        (("query",), "no step 'query'"),
        ((), "name the steps to follow; there are: find"),
    ],
)
def test_a_step_that_there_is_not_is_answered_with_those_there_are(names: tuple[str, ...], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        parse(PAGE, PATH).steps(*names)


@pytest.mark.parametrize(
    ("page", "told"),
    [
        (
            "```sh {name=a}\n```\n\n```sh {name=a}\n```\n",
            "line 4: step 'a' is there twice; the first is at line 1",
        ),
        (
            "\n```sh {name=a phase=copying}\n```\n",
            "line 2: step 'a': unknown phase 'copying'; known: detect, prov",
        ),
        ("```sh {phase=copy}\n```\n", "line 1: a block of phase 'copy' has no name"),
        ("text\n\n```sh {name=a}\ntrue\n", "line 3: the block does not end: no line of ``` follows"),
        ("```sh {name=a\n```\n", "line 1: cannot read 'sh {name=a'"),
        ("```sh {name}\n```\n", "line 1: cannot read 'name'; attributes are key=value"),
        ('```sh {"name":"a"}\n```\n', "line 1: cannot read"),
        ("```sh {name=a name=b}\n```\n", "line 1: attribute 'name' is there twice"),
    ],
)
def test_what_is_wrong_is_told_with_file_and_line(page: str, told: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse(page, PATH)
    assert str(error.value).startswith(f"{PATH}: ")
    assert told in str(error.value)


@pytest.mark.parametrize(
    "page",
    ["```python title='x' {y}\n```\n", "```\n{name=a}\n```\n", "``` `a` ```\n", "```sh only words\n```\n"],
)
def test_other_blocks_are_left_alone(page: str) -> None:
    assert parse(page, PATH).blocks == ()


def test_a_page_that_there_is_not_is_answered_with_those_there_are(tmp_path: Path) -> None:
    (tmp_path / "one.md").write_text(PAGE)
    assert len(read_runbook(tmp_path / "one.md").blocks) == 3
    with pytest.raises(ConfigError, match=r"no runbook .*two\.md; there are: one"):
        read_runbook(tmp_path / "two.md")

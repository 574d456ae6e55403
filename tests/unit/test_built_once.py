import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from shared.runtime.built_once import built_once


class Thing:
    @built_once
    def part(self) -> object:
        time.sleep(0.02)  # long enough for all to be there
        return object()

    @built_once
    def whole(self) -> tuple[object, object]:
        return (self.part, object())


def test_threads_that_use_a_part_first_at_once_have_the_same() -> None:
    thing, at_once = Thing(), Barrier(8)

    def use(nth: int) -> int:
        at_once.wait()
        return id(thing.part if nth % 2 else thing.whole[0])

    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(use, range(8))) == {id(thing.part)}
    assert Thing().part is not thing.part

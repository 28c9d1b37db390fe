import threading

import pytest
import torch

from unabridged.compression.cores import Cores, InTurn, runner


def test_results_come_in_the_order_of_the_batches_whichever_is_done_first() -> None:
    second = threading.Event()

    def run(batch: int) -> int:
        if batch == 0:
            assert second.wait(10)
        second.set()
        return batch * batch

    assert list(Cores(2).each(run, range(6))) == [0, 1, 4, 9, 16, 25]


def test_each_batch_has_one_core_and_the_threads_of_others_keep_theirs() -> None:
    before = torch.get_num_threads()
    fresh: list[int] = []
    found = list(Cores(3).each(lambda _: torch.get_num_threads(), range(6)))
    thread = threading.Thread(target=lambda: fresh.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert found == [1] * 6
    assert fresh == [before] == [torch.get_num_threads()]


def test_no_batch_begins_after_the_caller_has_gone() -> None:
    begun: list[int] = []

    class Gone(Exception):
        pass

    def checkpoint() -> None:
        if len(begun) == 2:
            raise Gone

    with pytest.raises(Gone):
        list(Cores(1).each(begun.append, range(20), checkpoint))
    assert begun == [0, 1]


def test_nothing_is_recorded_for_gradients() -> None:
    weight = torch.ones(2, requires_grad=True)
    [found] = Cores(1).each(lambda by: weight * by, [3])
    assert not found.requires_grad


def test_a_device_that_one_batch_fills_has_them_in_turn() -> None:
    assert isinstance(runner(torch.device("cpu"), 1), Cores)
    assert isinstance(runner(torch.device("meta")), InTurn)
    weight = torch.ones(2, requires_grad=True)
    begun: list[int] = []

    def run(by: int) -> torch.Tensor:
        begun.append(by)
        return weight * by

    found = InTurn().each(run, [1, 2, 3])
    assert not next(found).requires_grad
    assert begun == [1]
    found.close()
    assert begun == [1]

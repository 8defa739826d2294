"""What a hook that ends a training early keeps, and takes up again."""

from convnext_dense.hooks import EarlyStoppingHook


class FakeRunner:
    """A runner with a loop and a logger."""

    def __init__(self):
        self.train_loop = self
        self.stop_training = False
        self.said = []
        self.logger = self

    def info(self, message, extra=None):
        """Keep a message."""
        self.said.append(message)


class TestState:
    def test_has_plain_numbers_that_a_new_hook_takes(self):
        hook = EarlyStoppingHook(monitor='mIoU', min_delta=0.1, patience=3)
        for score in (40.0, 40.05, 39.0):
            assert hook._check_stop_condition(score) == (False, '')
        state = hook.state_dict()
        assert state == dict(wait_count=2, best_score=40.0)
        assert {type(value) for value in state.values()} <= {int, float}
        resumed = EarlyStoppingHook(monitor='mIoU', min_delta=0.1, patience=3)
        resumed.load_state_dict(state)
        assert resumed._check_stop_condition(39.0)[0]

    def test_of_an_ended_run_ends_it_again_at_once(self):
        hook = EarlyStoppingHook(monitor='mIoU', patience=2)
        hook.load_state_dict(dict(wait_count=2, best_score=40.0))
        runner = FakeRunner()
        hook.before_train(runner)
        assert runner.stop_training
        assert 'after 2 validations without a better mIoU than 40' in runner.said[0]

    def test_of_a_run_with_more_patience_goes_on(self):
        hook = EarlyStoppingHook(monitor='mIoU', patience=3)
        hook.load_state_dict(dict(wait_count=2, best_score=40.0))
        runner = FakeRunner()
        hook.before_train(runner)
        assert not runner.stop_training and not runner.said

"""How long the processes of a run wait for each other."""

import pytest
from mmengine.config import Config

from convnext_dense.errors import UsageError
from convnext_dense.training.processes.group import time_limit


class TestTimeLimit:
    def test_is_ten_minutes_unless_the_config_says_otherwise(self):
        cfg = Config()
        assert time_limit(cfg) == cfg.env_cfg.dist_cfg.timeout == 600
        assert time_limit(Config(dict(env_cfg=dict(dist_cfg=dict(backend='nccl', timeout=90))))) == 90

    @pytest.mark.parametrize('limit', [0, -1, 'long', None, True, float('inf'), float('nan')])
    def test_is_a_positive_number(self, limit):
        with pytest.raises(UsageError, match=r'env_cfg\.dist_cfg\.timeout must be a positive number of seconds'):
            time_limit(Config(dict(env_cfg=dict(dist_cfg=dict(timeout=limit)))))

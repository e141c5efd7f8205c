"""Every message and enum of the package attune.v1, in one namespace: v1.Dataset, v1.SPLIT_TRAIN, v1.FineTuningSpec."""
try:
    from attune_client._generated.attune.v1.admin_pb2 import *  # noqa: F401,F403
    from attune_client._generated.attune.v1.checkpoint_pb2 import *  # noqa: F401,F403
    from attune_client._generated.attune.v1.common_pb2 import *  # noqa: F401,F403
    from attune_client._generated.attune.v1.dataset_pb2 import *  # noqa: F401,F403
    from attune_client._generated.attune.v1.fine_tuning_job_pb2 import *  # noqa: F401,F403
    from attune_client._generated.attune.v1.job_event_pb2 import *  # noqa: F401,F403
    from attune_client._generated.attune.v1.model_pb2 import *  # noqa: F401,F403
    from attune_client._generated.attune.v1.prediction_pb2 import *  # noqa: F401,F403
    from attune_client._generated.attune.v1.system_pb2 import *  # noqa: F401,F403
    from attune_client._generated.attune.v1.training_spec_pb2 import *  # noqa: F401,F403
    from attune_client._generated.attune.v1.upload_pb2 import *  # noqa: F401,F403
except ModuleNotFoundError as error:
    if "_generated" not in str(error):
        raise
    raise ImportError("attune_client's stubs are not there: run client/python/generate.sh, or pip install client/python") from error

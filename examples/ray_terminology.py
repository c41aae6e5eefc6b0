"""Rank a folder of Parquet files on a Ray cluster: one row a source term, with a list column of its candidates.

    pip install 'aatm-onnx[cpu]' 'ray[data]'
    python examples/ray_terminology.py terms/ ranked/ --checkpoint checkpoint/ --id code

Every worker is a process with a reranker of its own. Started again after a crash, the job goes on with the rows that
are not written yet: the checkpoint holds the ids of those that are. On more than one machine, the three folders are on
a disk that all of them share, or in a bucket.
"""

import argparse
from pathlib import Path

import ray
from ray.data import ActorPoolStrategy, DataContext, SaveMode
from ray.data.checkpoint import CheckpointConfig

from aatm_onnx.table import TableReranker


def place(text: str) -> str:
    """A bucket's address as it is, a path from the root on: workers start in other folders."""
    return text if "://" in text else str(Path(text).absolute())


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("source", type=place, help="the folder of Parquet files")
parser.add_argument("output", type=place, help="the folder to write to")
parser.add_argument("--checkpoint", type=place, required=True, help="a folder for the ids of finished rows")
parser.add_argument("--id", default="code", help="the column of ids, each there once")
parser.add_argument("--model", default="default")
parser.add_argument("--workers", type=int, default=2, help="processes, on all machines together")
parser.add_argument("--threads", type=int, default=1, help="of each worker")
parser.add_argument("--block", type=int, default=1024, help="rows that a worker takes at once: what its death costs")
options = parser.parse_args()

# Two CPUs more than the workers': for reading and writing, and for the checkpoint's filter when a job goes on. Where
# the workers reserve all, Ray waits for ever. On a cluster: ray.init("auto").
ray.init(num_cpus=options.workers * options.threads + 2)
DataContext.get_current().checkpoint_config = CheckpointConfig(
    id_column=options.id, checkpoint_path=options.checkpoint, delete_checkpoint_on_success=False
)
terms = ray.data.read_parquet(options.source).repartition(target_num_rows_per_block=options.block)
ranked = terms.map_batches(
    TableReranker,
    fn_constructor_kwargs={"model": options.model, "provider": "cpu", "threads": options.threads},
    batch_format="pyarrow",
    batch_size=None,  # the whole block
    num_cpus=options.threads,  # what Ray reserves is what ONNX Runtime uses
    compute=ActorPoolStrategy(size=options.workers),
    udf_modifying_row_count=False,
)
ranked.write_parquet(options.output, mode=SaveMode.APPEND)

"""Files in: uploads, and the datasets and models that are made of them."""
from __future__ import annotations

import json
import tempfile
import uuid
from pathlib import Path
from typing import Any, Optional, Union

import grpc

from attune_client import v1
from attune_client._async.connection import AsyncConnection
from attune_client._async.transport import aclosing, read, run_blocking
from attune_client._async.uploads import upload_file
from attune_client.errors import AttuneError, error_of
from attune_client.local_files import PathLike, model_files, pack_directory
from attune_client.progress import Bar, TransferProgress, transfer_progress
from attune_client.requests import Files, by_split, full_name, id_from_path
from attune_client.retry import Backoff


class AsyncImports(AsyncConnection):
    async def upload(self, path: PathLike, *, filename: Optional[str] = None, progress: Union[Bar, TransferProgress] = None) -> v1.Upload:
        """Sends a file; after a cut, or in a later call, it goes on where it stopped. progress: None shows a bar on a terminal, True anywhere, False nowhere; or a function
        that is called with (file name, bytes done, bytes in all)."""
        path = Path(path)
        with transfer_progress(progress) as report:
            return await upload_file(self, path, filename or path.name, report)

    async def import_dataset(self, files: Files, *, progress: Union[Bar, TransferProgress] = None, **fields: Any) -> v1.Dataset:
        """Uploads files and makes a dataset of them. `files` is a path, several, or a mapping from "train", "validation" and "test" to paths; the path of a
        folder of images (train/CLASS/1.jpg or CLASS/1.jpg, or with a metadata.csv) sends it as one archive. `fields` are those of v1.ImportDatasetRequest:
        dataset_id, text_column, label_column, test_fraction, max_bad_rows, ... progress as of upload.

        Raises InvalidArgumentError whose violations name the bad rows by file, line and column, when more than max_bad_rows cannot be used."""
        request = v1.ImportDatasetRequest(**fields)
        request.request_id = request.request_id or uuid.uuid4().hex
        request.tokenizer_model = full_name(request.tokenizer_model, "models")
        with transfer_progress(progress) as report:
            for split, path in by_split(files):
                request.files.add(upload=(await self._upload_file_or_folder(Path(path), report)).name, split=split)
        dataset = await self._import(request)
        while dataset.state == v1.Dataset.STATE_IMPORTING:  # told of the first try's dataset after a cut
            await self._pause(self.retry.initial_backoff)
            dataset = await self.call(self.datasets.GetDataset, v1.GetDatasetRequest(name=dataset.name))
        if dataset.state == v1.Dataset.STATE_FAILED:
            raise error_of(grpc.StatusCode.INVALID_ARGUMENT, f"{dataset.name} could not be imported: {dataset.error}")
        return dataset

    async def _upload_file_or_folder(self, path: Path, report: TransferProgress) -> v1.Upload:
        if not path.is_dir():
            return await upload_file(self, path, path.name, report)
        with tempfile.TemporaryDirectory() as scratch:
            tar = Path(scratch) / "folder.tar"
            await run_blocking(pack_directory, path, tar)
            return await upload_file(self, tar, f"{path.resolve().name or 'folder'}.tar", report)

    async def _import(self, request: v1.ImportDatasetRequest) -> v1.Dataset:
        backoff = Backoff(self.retry)
        while True:
            try:
                async with aclosing(read(self.datasets.ImportDataset(request), self.long_timeout)) as responses:
                    async for response in responses:
                        if response.HasField("dataset"):
                            dataset: v1.Dataset = response.dataset
                            return dataset
                raise error_of(grpc.StatusCode.UNAVAILABLE, "the server ended the import without a dataset")
            except AttuneError as error:
                await self._pause(backoff.after(error))

    async def import_model(self, directory: PathLike, *, model_id: Optional[str] = None, display_name: str = "",
                           progress: Union[Bar, TransferProgress] = None) -> v1.Model:
        """Makes a base model of a directory with config.json and model.safetensors, as transformers' save_pretrained() writes it (text models: with
        tokenizer.json), or with a torchvision state_dict. model_id: None means the directory's name. progress as of upload.

        Raises FileNotFoundError for a directory that lacks a file, InvalidArgumentError for a model that the server cannot use, AlreadyExistsError."""
        directory = Path(directory)
        names = model_files(directory, None)
        modality = await self._modality(directory / "config.json")
        if modality:  # otherwise the server says what is wrong
            names = model_files(directory, modality)
        request = v1.ImportModelRequest(model_id=model_id or id_from_path(directory), display_name=display_name, request_id=uuid.uuid4().hex)
        with transfer_progress(progress) as report:
            for name in names:
                request.files.add(path=name, upload=(await upload_file(self, directory / name, name, report)).name)
        model: v1.Model = await self.call(self.models.ImportModel, request, timeout=self.long_timeout)
        return model

    async def _modality(self, config: Path) -> str:
        """What the architecture of a config.json takes, "text" or "image"; empty where that cannot be said."""
        try:
            model_type = json.loads(config.read_text(encoding="utf-8"))["model_type"]
        except (ValueError, KeyError, TypeError):
            return ""
        for architecture in (await self.call(self.models.ListArchitectures, v1.ListArchitecturesRequest())).architectures:
            if architecture.name == model_type:
                return architecture.modality or "text"  # servers of before images do not say it
        return ""

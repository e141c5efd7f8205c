"""The main job on images: import, three phases, checkpoint in torchvision, predictions of every test image, a killed worker, and what is wrong with input."""
import io
import os
import subprocess
import sys
import tarfile

import numpy
import pytest

import harness
from harness import Job, checkpoint_pb, common_pb, error_of, job_pb, prediction_pb, spec_pb

sys.path.insert(0, os.path.join(harness.SOURCE, "tools", "vision_lib"))
SIDE = 64
CLASSES = ("blue", "green", "red")
COUNTS = {"train": 24, "validation": 6, "test": 8}  # images of each class
INVALID = "INVALID_ARGUMENT"


def picture(label, seed, side=(72, 90)):
    """A bright patch of the class's colour somewhere on noise: as PNG, so that every decoder gives the same pixels."""
    from PIL import Image
    rng = numpy.random.default_rng(seed)
    pixels = rng.integers(0, 120, (*side, 3), dtype=numpy.uint8)
    top, left = rng.integers(0, 22, 2)
    pixels[top:top + 40, left:left + 48, 2 - CLASSES.index(label)] = rng.integers(180, 256, (40, 48), dtype=numpy.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def pictures(split):
    """(path in the tar, label, bytes), in order."""
    for c, label in enumerate(CLASSES):
        for i in range(COUNTS[split]):
            seed = (list(COUNTS).index(split) * len(CLASSES) + c) * 1000 + i
            yield f"{split}/{label}/{i:03}.png", label, picture(label, seed, side=(72, 90) if i % 2 else (100, 70))


def tar_of(entries):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path, content in entries:
            entry = tarfile.TarInfo(path)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def convert(directory, *arguments, architecture="mobilenet_v2", side=SIDE):
    subprocess.run([sys.executable, os.path.join(harness.SOURCE, "tools", "import_torchvision.py"), *arguments, "--architecture", architecture,
                    "--set", f"image_size={side}", "--out", str(directory)], check=True)
    return str(directory)


@pytest.fixture(scope="session")
def mobilenet(tmp_path_factory):
    """What learnt from ImageNet: an untrained one of 52 BatchNorms needs more steps than a test has before its running statistics mean anything."""
    return convert(tmp_path_factory.mktemp("mobilenet"), os.path.join(harness.DEPS, "mobilenet", "mobilenet_v2_features.pt"))


@pytest.fixture(scope="session")
def tiny_mobilenet(tmp_path_factory):
    """Random weights: enough for what is compared to the byte."""
    return convert(tmp_path_factory.mktemp("tiny-mobilenet"), "--reference-seed", "1", "--set", "width_mult=0.25")


@pytest.fixture(scope="session")
def images_tar():
    return tar_of((path, content) for split in COUNTS for path, _, content in pictures(split))


@pytest.fixture(scope="module")
def image_model(server, mobilenet):
    return server.import_model(mobilenet, "mobilenet")


@pytest.fixture(scope="module")
def tiny_image_model(server, tiny_mobilenet):
    return server.import_model(tiny_mobilenet, "tiny-mobilenet")


@pytest.fixture(scope="module")
def image_dataset(server, images_tar):
    return server.import_dataset(images_tar, "pictures.tar")


def phases(epochs=(8, 2, 2)):
    return [spec_pb.Phase(name="head", n_epochs=epochs[0], learning_rate=3e-3, trainable=spec_pb.Trainable(head_only=True)),
            spec_pb.Phase(name="top", n_epochs=epochs[1], learning_rate=3e-4, trainable=spec_pb.Trainable(last_n_groups=2)),
            spec_pb.Phase(name="all", n_epochs=epochs[2], learning_rate=1e-4, trainable=spec_pb.Trainable(all=True))]


def digest(server, job):
    files = server.checkpoints.GetCheckpoint(checkpoint_pb.GetCheckpointRequest(name=job + "/checkpoints/last")).files
    return {f.path: f.sha256 for f in files}["model.safetensors"]


def predict(server, checkpoint, images):
    return server.prediction.Predict(prediction_pb.PredictRequest(checkpoint=checkpoint, images=images), timeout=harness.DEADLINE).predictions


@pytest.fixture(scope="module")
def finished(server, image_model, image_dataset):
    job = server.create_job(image_model.name, image_dataset.name, phases=phases(), hyperparameters=spec_pb.Hyperparameters(batch_size=16))
    events = list(server.events(job.name))
    done = server.jobs.GetFineTuningJob(job_pb.GetFineTuningJobRequest(name=job.name))
    assert done.state == Job.STATE_SUCCEEDED, done
    return done, events


def test_imports_say_what_they_hold(image_model, image_dataset):
    assert (image_model.modality, image_model.architecture, image_model.image_size, image_model.head_name) == ("image", "mobilenet_v2", SIDE, "classifier.1")
    assert image_dataset.modality == "image" and list(image_dataset.labels) == list(CLASSES)
    rows = {harness.dataset_pb.Split.Name(split.split): split.rows for split in image_dataset.report.splits}
    assert rows == {f"SPLIT_{split.upper()}": count * len(CLASSES) for split, count in COUNTS.items()}


def test_learns_in_three_phases(finished):
    job, events = finished
    assert job.effective_spec.task == spec_pb.TASK_IMAGE_CLASSIFICATION
    started = [e.phase_started for e in events if e.WhichOneof("payload") == "phase_started"]
    assert [p.phase for p in started] == ["head", "top", "all"]
    assert started[0].trainable_parameters < started[1].trainable_parameters < started[2].trainable_parameters == started[2].total_parameters
    assert job.test_evaluation.values["accuracy"] > 0.8, job.test_evaluation


def test_head_phase_sees_plain_images_and_later_ones_changed_ones(finished):
    job, _ = finished
    assert [phase.augment for phase in job.effective_spec.phases] == [False, True, True]
    assert job.effective_spec.augmentation.crop_scale_min == pytest.approx(0.4) and job.effective_spec.hyperparameters.image_size == SIDE


def check_in_torchvision(server, job, directory):
    """The best checkpoint loads strictly in torchvision and says there what the server says, of every test image."""
    import reference
    server.download(job.best_checkpoint, directory)
    model, config = reference.load(directory)
    images = [(label, content) for _, label, content in pictures("test")]
    theirs = reference.predict(model, reference.preprocessing(config), [io.BytesIO(content) for _, content in images]).numpy()
    ours = predict(server, job.best_checkpoint, [content for _, content in images])
    numpy.testing.assert_allclose(numpy.array([p.logits for p in ours]), theirs, atol=1e-4, rtol=1e-4)
    names = [config["id2label"][str(int(i))] for i in theirs.argmax(-1)]
    assert [p.labels[0] for p in ours] == names
    right = sum(name == label for name, (label, _) in zip(names, images)) / len(images)
    assert right == pytest.approx(job.test_evaluation.values["accuracy"]), "the evaluation on the test split is not what its predictions say"


def test_checkpoint_loads_in_torchvision_and_predicts_the_same(server, finished, tmp_path):
    check_in_torchvision(server, finished[0], tmp_path / "model")


def test_wrongly_filed_training_images_are_the_first_suspects(server, finished):
    wrong = {"train/blue/003.png": "train/red/003-b.png", "train/green/010.png": "train/blue/010-b.png", "train/red/020.png": "train/green/020-b.png"}
    entries = [(wrong.get(path, path), content) for split in COUNTS for path, _, content in pictures(split)]
    dataset = server.import_dataset(tar_of(entries), "misfiled.tar")
    request = prediction_pb.EvaluateRequest(checkpoint=finished[0].name, dataset=dataset.name, find_suspects=True, suspect_count=6)
    result = list(server.prediction.Evaluate(request, timeout=harness.DEADLINE))[-1].result
    assert set(wrong.values()) <= {suspect.entry for suspect in result.suspects}, result.suspects
    assert all(s.filename == "misfiled.tar" and not s.text for s in result.suspects)
    assert result.evaluation.values["accuracy"] == pytest.approx(finished[0].test_evaluation.values["accuracy"])
    assert result.training_rows == COUNTS["train"] * len(CLASSES)


def test_head_with_hidden_layers_loads_in_torchvision(server, image_model, image_dataset, tmp_path):
    job = server.create_job(image_model.name, image_dataset.name, head=spec_pb.HeadSpec(hidden_sizes=[24, 12], activation=spec_pb.ACTIVATION_GELU, dropout=0.1),
                            phases=[spec_pb.Phase(name="all", n_epochs=2, learning_rate=1e-3)], hyperparameters=spec_pb.Hyperparameters(batch_size=16, image_size=96))
    done = server.wait(job.name)
    assert done.state == Job.STATE_SUCCEEDED, done
    check_in_torchvision(server, done, tmp_path / "model")


TRANSFORMER = ["hidden_size=32", "num_hidden_layers=2", "num_attention_heads=4"]


@pytest.mark.parametrize("architecture, settings, side", [
    ("resnet18", ["layers=1,1,1,1"], 64),
    ("resnet50", ["layers=1,1,1,1"], 64),
    ("resnext50_32x4d", ["layers=1,1,1,1", "groups=4", "width_per_group=8"], 64),
    ("vgg11", ["classifier_width=32"], 64),
    ("vgg16_bn", ["classifier_width=32"], 32),
    ("inception_v3", ["aux_logits=false"], 96),
    ("inception_v3", [], 299),
    ("efficientnet_b0", ["width_mult=0.3"], 64),
    ("vit", [*TRANSFORMER, "intermediate_size=64", "patch_size=16"], 64),
    ("dinov2", [*TRANSFORMER, "mlp_ratio=2", "patch_size=16"], 64),
], ids=["resnet18", "resnet50", "resnext", "vgg11", "vgg16-bn", "inception", "inception-aux", "efficientnet", "vit", "dinov2"])
def test_every_family_loads_in_its_library_and_predicts_the_same(server, image_dataset, tmp_path, architecture, settings, side):
    arguments = [word for setting in settings for word in ("--set", setting)]
    directory = convert(tmp_path / "base", "--reference-seed", "1", *arguments, architecture=architecture, side=side)
    model = server.import_model(directory, tmp_path.name.replace("_", "-").lower())
    job = server.create_job(model.name, image_dataset.name, phases=[spec_pb.Phase(name="all", max_steps=2, learning_rate=1e-4, batch_norm=spec_pb.BATCH_NORM_TRAIN)],
                            hyperparameters=spec_pb.Hyperparameters(batch_size=4))
    done = server.wait(job.name)
    assert done.state == Job.STATE_SUCCEEDED, done
    check_in_torchvision(server, done, tmp_path / "model")


def test_a_head_on_the_maximum_over_positions(server, tiny_image_model, image_dataset):
    job = server.create_job(tiny_image_model.name, image_dataset.name, head=spec_pb.HeadSpec(pooling=spec_pb.POOLING_MAX),
                            phases=[spec_pb.Phase(name="all", max_steps=3, learning_rate=1e-3)], hyperparameters=spec_pb.Hyperparameters(batch_size=8))
    done = server.wait(job.name)
    assert done.state == Job.STATE_SUCCEEDED, done
    images = list(pictures("test"))
    ours = predict(server, done.best_checkpoint, [content for _, _, content in images])
    right = sum(p.labels[0] == label for p, (_, label, _) in zip(ours, images)) / len(images)
    assert right == pytest.approx(done.test_evaluation.values["accuracy"]), "predictions pool as training did"


def test_equal_seeds_give_equal_bytes_with_and_without_cached_features(server, own_server, tiny_image_model, image_dataset, tiny_mobilenet, images_tar):
    spec = dict(seed=11, phases=phases((3, 1, 1)), hyperparameters=spec_pb.Hyperparameters(batch_size=16))
    digests = []
    for _ in range(2):  # the second finds what the first kept
        job = server.wait(server.create_job(tiny_image_model.name, image_dataset.name, **spec).name)
        assert job.state == Job.STATE_SUCCEEDED, job
        digests.append(digest(server, job.name))
    own_server.stop()
    own_server.flags = ["--feature-cache-bytes", "0"]
    own_server.start()
    model, dataset = own_server.import_model(tiny_mobilenet, "tiny-mobilenet"), own_server.import_dataset(images_tar, "pictures.tar")
    job = own_server.wait(own_server.create_job(model.name, dataset.name, **spec).name)
    assert job.state == Job.STATE_SUCCEEDED, job
    digests.append(digest(own_server, job.name))
    assert digests[0] == digests[1] == digests[2]


@pytest.mark.parametrize("saved", [2, 12], ids=["in-the-head-phase", "in-a-later-phase"])
def test_killed_worker_resumes_to_the_same_bytes(own_server, tiny_mobilenet, images_tar, saved):
    server = own_server
    model, dataset = server.import_model(tiny_mobilenet, "tiny-mobilenet"), server.import_dataset(images_tar, "pictures.tar")
    spec = dict(seed=3, phases=phases((3, 2, 3)), hyperparameters=spec_pb.Hyperparameters(batch_size=8), checkpointing=spec_pb.CheckpointSpec(save_steps=3))
    job = server.create_job(model.name, dataset.name, **spec)
    server.wait_for_event(job.name, "checkpoint_saved", count=saved)
    server.kill_workers()
    done = server.wait(job.name)
    assert done.state == Job.STATE_SUCCEEDED and done.attempt > 1, done
    undisturbed = server.wait(server.create_job(model.name, dataset.name, **spec).name)
    assert undisturbed.state == Job.STATE_SUCCEEDED and undisturbed.attempt == 1, undisturbed
    assert digest(server, job.name) == digest(server, undisturbed.name)


# Bad input ----------------------------------------------------------------------------------------------------------------
def test_models_and_datasets_of_different_kinds(server, model, dataset, image_model, image_dataset):
    code, message = error_of(server.create_job, model, image_dataset.name)
    assert code.name == INVALID and "image" in message and "text" in message
    code, message = error_of(server.create_job, image_model.name, dataset)
    assert code.name == INVALID and "image" in message and "text" in message


@pytest.mark.parametrize("spec, words", [
    (dict(task=spec_pb.TASK_TEXT_CLASSIFICATION), ["task"]),
    (dict(hyperparameters=spec_pb.Hyperparameters(image_size=8)), ["hyperparameters.image_size"]),
    (dict(hyperparameters=spec_pb.Hyperparameters(image_size=4096)), ["hyperparameters.image_size"]),
    (dict(hyperparameters=spec_pb.Hyperparameters(max_length=64)), ["hyperparameters.max_length"]),
    (dict(augmentation=spec_pb.AugmentationSpec(crop_scale_min=0)), ["augmentation.crop_scale_min"]),
    (dict(augmentation=spec_pb.AugmentationSpec(horizontal_flip=1.5)), ["augmentation.horizontal_flip"]),
    (dict(augmentation=spec_pb.AugmentationSpec(hue=0.7)), ["augmentation.hue"]),
    (dict(augmentation=spec_pb.AugmentationSpec(mixup_alpha=float("nan"))), ["augmentation.mixup_alpha"]),
    (dict(augmentation=spec_pb.AugmentationSpec(rand_augment=spec_pb.RandAugment(magnitude=99))), ["augmentation.rand_augment.magnitude"]),
    (dict(augmentation=spec_pb.AugmentationSpec(enabled=False, brightness=0.2)), ["augmentation"]),
    (dict(head=spec_pb.HeadSpec(hidden_sizes=[16, 0])), ["head.hidden_sizes[1]"]),
    (dict(head=spec_pb.HeadSpec(hidden_sizes=[8] * 9)), ["head.hidden_sizes"]),
    (dict(head=spec_pb.HeadSpec(pooling=spec_pb.POOLING_FIRST_TOKEN)), ["head.pooling", "use mean or max"]),
    (dict(phases=[spec_pb.Phase(trainable=spec_pb.Trainable(patterns=spec_pb.NamePatterns(patterns=["layer4.*"])))]), ["layer4.*"]),
], ids=["task", "small", "large", "max-length", "crop", "flip", "hue", "mixup", "magnitude", "not-enabled", "hidden", "many-hidden", "first-token", "pattern"])
def test_bad_image_spec(server, image_model, image_dataset, spec, words):
    code, message = error_of(server.create_job, image_model.name, image_dataset.name, **spec)
    assert code.name == INVALID, (code, message)
    for word in words:
        assert word in message, message


def test_image_fields_in_a_text_job(server, model, dataset):
    code, message = error_of(server.create_job, model, dataset, hyperparameters=spec_pb.Hyperparameters(image_size=64))
    assert code.name == INVALID and "image_size" in message
    code, message = error_of(server.create_job, model, dataset, augmentation=spec_pb.AugmentationSpec(horizontal_flip=0.5))
    assert code.name == INVALID and "augmentation" in message


@pytest.mark.parametrize("images, words", [
    (lambda good: [good[:len(good) // 2]], ["image"]),
    (lambda good: [good, b"this is no image"], ["image"]),
    (lambda good: [good, b""], ["images[1]", "empty"]),
    (lambda good: [good] * 65, ["images", "64"]),
    (lambda good: [b"x" * ((16 << 20) + 1)], ["images[0]", "16"]),
], ids=["truncated", "no-image", "empty", "too-many", "too-large"])
def test_bad_images_to_predict(server, finished, images, words):
    good = picture("red", 1)
    code, message = error_of(predict, server, finished[0].name, images(good))
    assert code.name == INVALID, (code, message)
    for word in words:
        assert word in message, message
    assert len(predict(server, finished[0].name, [good])) == 1


def test_texts_for_an_image_model(server, finished):
    request = prediction_pb.PredictRequest(checkpoint=finished[0].name, inputs=[common_pb.TextInput(text="a bag")])
    code, message = error_of(server.prediction.Predict, request)
    assert code.name == INVALID and "image" in message
    request.images.append(picture("red", 1))
    code, message = error_of(server.prediction.Predict, request)
    assert code.name == INVALID and "images" in message


@pytest.mark.parametrize("entries, words", [
    (lambda good: [("train/red/cut.png", good[:200])], ["red/cut.png"]),
    (lambda good: [("train/red/text.png", b"this is no image")], ["red/text.png"]),
    (lambda good: [("test/yellow/a.png", good)], ["yellow"]),
    (lambda good: [("train/red/../../out.png", good)], ["out.png"]),
], ids=["truncated", "no-image", "unseen-class", "path"])
def test_bad_archive(server, entries, words):
    good = [(path, content) for path, _, content in pictures("train")]
    code, message = error_of(server.import_dataset, tar_of(good + entries(good[0][1])), "bad.tar")
    assert code.name == INVALID, (code, message)
    for word in words:
        assert word in message, message


def test_archive_cut_short(server, images_tar):
    code, message = error_of(server.import_dataset, images_tar[:len(images_tar) // 2 + 100], "cut.tar")
    assert code.name == INVALID and "cut.tar" in message

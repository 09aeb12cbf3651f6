import pytest

from tests.validation.children import ask, make_case, make_task
from validation.contract import tasks
from validation.contract.kernel import NotAvailableError
from validation.kernels import registry
from validation.kernels.patches import oracle, peers, workloads
from validation.kernels.patches.case import of
from validation.kernels.patches.kernel import PatchExtraction
from validation.outputs.compare import compare
from validation.outputs.saved import Output
from validation.outputs.tree import Tree

NAMES = [peer.name for peer in peers.PEERS["patch_extraction"]]
# What a peer is known not to keep: remap rounds weights to 1/32 pixel, the others the coordinate once per patch.
KNOWN_ERROR = {
    "opencv_remap": 0.1,
    "opencv_rect": 1e-4,
    "torch_grid_sample": 1e-3,
    "jax_dynamic_slice": 1e-4,
    "scipy_map_coordinates": 1e-4,
}


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", NAMES)
def test_a_peer_does_the_same_job_up_to_its_known_error(scan_path, tmp_path, name):
    path = tmp_path / "output"
    case = make_case(pattern="outside", batch=6)
    reply = ask(make_task("output", scan_path, case=case, implementation=name, output_path=str(path)), tmp_path)
    if isinstance(reply, tasks.ErrorReply) and reply.reason == "not_available":
        pytest.skip(reply.message)
    assert isinstance(reply, tasks.OutputReply), reply
    expected = Tree.of(oracle.extract_patches(**workloads.build(of(case), scan_path)))
    allowed = KNOWN_ERROR.get(name, 1e-6)
    found = compare(expected, Output(path).tree, expected_name="oracle", actual_name=name, atol=allowed)
    assert found.passed, found


def test_peers_are_offered_as_peers_and_never_as_candidates():
    roles = {found.name: found.role for found in registry.candidates(PatchExtraction())}
    assert {roles[name] for name in NAMES} == {"peer"}


def test_a_peer_that_is_not_installed_is_not_available(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "cv2", None)
    with pytest.raises(NotAvailableError, match="opencv-python-headless is not installed"):
        peers.opencv_rect(**{"N": 4})

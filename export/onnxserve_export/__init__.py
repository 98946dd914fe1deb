"""torch module -> quantised ONNX -> proven archive; one step a file."""

import os

# torch's threads that wait for each other would keep their cores busy: with two threads beside other work, a forward
# pass took four times as long. The library reads this when torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

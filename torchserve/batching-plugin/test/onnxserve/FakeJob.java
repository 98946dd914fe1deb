package onnxserve;

import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import org.pytorch.serve.job.Job;
import org.pytorch.serve.util.messages.InputParameter;
import org.pytorch.serve.util.messages.RequestInput;
import org.pytorch.serve.util.messages.WorkerCommands;

/** A job without a connection; it records its answer. */
final class FakeJob extends Job {
    private static final AtomicInteger IDS = new AtomicInteger();
    private static final int LARGE = 1_000_000;
    // Jobs share large bodies, by their size: hundreds of copies take gigabytes, and seconds to make.
    private static final Map<Integer, InputParameter> LARGE_BODIES = new ConcurrentHashMap<>();
    final String client;
    final AtomicInteger errors = new AtomicInteger();
    volatile int status;
    volatile Map<String, String> headers;
    volatile boolean open = true;

    FakeJob(String client, int bytes, Map<String, String> headers) {
        super("model", "1.0.0", WorkerCommands.PREDICT, input(client, bytes, headers));
        this.client = client;
    }

    static FakeJob of(String client) {
        return new FakeJob(client, 100, Map.of());
    }

    static FakeJob of(String client, String priority) {
        return new FakeJob(client, 100, Map.of(Priority.HEADER, priority));
    }

    private static RequestInput input(String client, int bytes, Map<String, String> headers) {
        RequestInput input = new RequestInput(Integer.toString(IDS.incrementAndGet()));
        Map<String, String> all = new HashMap<>(headers);
        all.put(QueuedJob.CLIENT, client);
        input.setHeaders(all);
        input.addParameter(bytes < LARGE ? body(bytes) : LARGE_BODIES.computeIfAbsent(bytes, FakeJob::body));
        return input;
    }

    private static InputParameter body(int bytes) {
        return new InputParameter("body", new byte[bytes]);
    }

    @Override
    public void response(byte[] body, CharSequence type, int code, String phrase, Map<String, String> headers) {
        status = code;
        this.headers = headers;
    }

    @Override
    public void sendError(int code, String error) {
        errors.incrementAndGet();
        status = code;
    }

    @Override
    public boolean isOpen() {
        return open;
    }
}

package onnxserve;

import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.HashMap;
import java.util.Map;
import org.pytorch.serve.http.ErrorResponse;
import org.pytorch.serve.job.Job;
import org.pytorch.serve.util.JsonUtils;

/**
 * A worker's attempt at a job. If a worker ends, or a batch fails as a whole, TorchServe answers all jobs of
 * the batch with one error. Here each job whose worker ended, or that shared a failed batch, gets a second
 * try alone. A row that ends workers or makes a handler fail therefore costs the other rows no answer, and
 * costs at most two workers.
 *
 * <p>If the second try fails, the error is the job's own. A header names the error, so that the gateway,
 * which retries failures of the server, treats it as an answer. Another header carries the body, since a
 * proxy that replaces error bodies reads only headers.
 */
final class Attempt extends Job {
    static final String ERROR = "x-onnxserve-error";
    static final String BODY = "x-onnxserve-body";
    /** The header of a job with which a worker ended before another one answered; canary comparisons count it. */
    static final String ENDED = "x-onnxserve-ended";
    /** The value of {@link #ERROR} for a job with which two workers ended. */
    static final String WORKER_ENDED = "worker_ended";
    private static final int MOST_BYTES = 8192;
    // From WorkerThread.run; its status depends on whether the exited process was reaped.
    private static final String WORKER_DIED = "Worker died.";
    private static final int INTERNAL_ERROR = 500;
    private static final int INSUFFICIENT_STORAGE = 507;

    final QueuedJob queued;
    private final Job job;
    private final Batch batch;
    private final BatchQueue queue;
    private boolean answering;

    Attempt(QueuedJob queued, Batch batch, BatchQueue queue) {
        super(
                queued.job.getModelName(),
                queued.job.getModelVersion(),
                queued.job.getCmd(),
                queued.job.getPayload());
        this.queued = queued;
        this.job = queued.job;
        this.batch = batch;
        this.queue = queue;
    }

    @Override
    public void response(byte[] body, CharSequence type, int status, String phrase, Map<String, String> headers) {
        answering = true;
        job.response(body, type, status, phrase, withMore(headers, status, body));
    }

    private Map<String, String> withMore(Map<String, String> headers, int status, byte[] body) {
        boolean failed = status >= INTERNAL_ERROR && headers != null && headers.containsKey(ERROR);
        if (!queued.workerEnded && !failed) {
            return headers;
        }
        Map<String, String> more = headers == null ? new HashMap<>() : new HashMap<>(headers);
        if (queued.workerEnded) {
            more.put(ENDED, Integer.toString(INSUFFICIENT_STORAGE));
        }
        if (failed && body.length <= MOST_BYTES) {
            more.put(BODY, Base64.getEncoder().encodeToString(body));
        }
        return more;
    }

    @Override
    public void sendError(int status, String text) {
        boolean died = WORKER_DIED.equals(text);
        if (!answering && (died || batch.jobs.size() > 1) && queue.tryAgain(queued, died)) {
            return;
        }
        if (died && queued.workerEnded) {
            queue.endedAgain(queued);
        }
        int code = died ? INSUFFICIENT_STORAGE : status;
        if (code < INTERNAL_ERROR || answering || !Connection.isHttp(job)) {
            job.sendError(code, text);
            return;
        }
        String body = JsonUtils.GSON_PRETTY.toJson(new ErrorResponse(code, "InternalServerException", text)) + "\n";
        String kind = died ? WORKER_ENDED : "internal_error";
        byte[] bytes = body.getBytes(StandardCharsets.UTF_8);
        job.response(bytes, "application/json", code, null, Map.of(ERROR, kind));
    }

    @Override
    public void setScheduled() {
        job.setScheduled();
    }

    @Override
    public long getBegin() {
        return job.getBegin();
    }

    @Override
    public long getScheduled() {
        return job.getScheduled();
    }

    @Override
    public boolean isOpen() {
        return job.isOpen();
    }
}

package onnxserve;

import java.util.concurrent.TimeUnit;

/**
 * How many jobs may wait for a model so that those which are computed are answered in time, however many
 * come: adaptive concurrency by Little's law.
 *
 * <p>While its workers are busy, a version that computes {@code rate} jobs a second answers a job after
 * {@code jobs / rate}, where {@code jobs} wait or run (J. D. C. Little, "A Proof for the Queuing Formula
 * L = λW", Operations Research 9, 1961). So {@code 1.5 * target * rate} jobs may be there, less those that
 * run. The rate is what was measured in windows of half the target, a second of busy time in all; a window in which workers
 * waited for jobs tells no rate, but says that the limit is too low if jobs were refused in it.
 *
 * <p>The limit is no promise for each job: clients take turns, so some wait longer than the average, jobs run
 * together, and a model may become slower after they came. So the limit becomes smaller where more than one
 * job in a hundred is answered after 1.75 times the target. And for a second after a job was refused, one whose
 * turn comes so late isn't computed either, if others wait (as CoDel, RFC 8289, never drops the last one): where
 * refused jobs come again all at once, workers run dry in between, and the limit grows beyond what is in time.
 *
 * <p>While no worker is ready, nothing is overloaded: jobs wait up to the queue's capacity for a worker to
 * come back, and none of them is late then. Times are in ns. Not thread-safe.
 */
final class QueueLimit {
    // Of the target, for waiting and computing; what is left up to 2 is for the way there and back.
    private static final double AIM = 1.5;
    private static final double LEAST_AIM = 0.5;
    private static final double LATEST = 1.75;
    // Where one job in a hundred is later than that, the two cancel out.
    private static final double DOWN = 0.98;
    private static final double UP = 1.0002;
    // A worker may have begun just before a job came, and its batch may take a little longer than others.
    private static final double ONE_BATCH = 1.25;
    private static final double SMOOTHING = 4;
    // Busy time of which the rate is a mean at first, and that a lower rate needs: a machine that did something else
    // for a moment, or a frontend that has just started, refuses nobody.
    private static final double MEMORY_NS = 1e9;
    private static final double MOSTLY = 0.2;
    private static final double GROWTH = 1.25;
    private static final long OVERLOAD_NS = TimeUnit.SECONDS.toNanos(1);

    private final int capacity;
    private final long target;
    private final Window window = new Window();
    private double aim = AIM;
    private double limit;
    private double batchTime = Double.NaN;
    private double learnt;
    private long learntAt;
    private int workers = 1;
    private long readySince;
    private boolean wasOverloaded;
    private long overloadedAt;

    /** {@code capacity} is the most whatever was measured; a {@code target} of 0 keeps it at that. */
    QueueLimit(int capacity, long target, long now) {
        this.capacity = capacity;
        this.target = target;
        readySince = now;
        window.begin(now);
    }

    /** Jobs that may wait. */
    int jobs() {
        return measured() && workers > 0 ? (int) limit : capacity;
    }

    private boolean measured() {
        return target > 0 && learnt >= MEMORY_NS;
    }

    /** A job whose turn it is would be answered too late. Those of the priority batch have time. */
    boolean late(QueuedJob job, long now) {
        boolean overloaded = wasOverloaded && now - overloadedAt < OVERLOAD_NS;
        if (!measured() || !overloaded || job.priority == Priority.BATCH || isFromOutage(job.arrivedAt)) {
            return false;
        }
        return now - job.passedOnAt > Math.max(LATEST * target - batchTime, ONE_BATCH * batchTime);
    }

    /** It came when no worker was ready. */
    private boolean isFromOutage(long arrived) {
        return workers == 0 || arrived - readySince < 0;
    }

    void refused(long now) {
        window.refused++;
        overloaded(now);
    }

    /** A job isn't computed, or not even taken in, since there are too many. */
    void overloaded(long now) {
        wasOverloaded = true;
        overloadedAt = now;
    }

    void taken() {
        window.taken++;
    }

    /** A worker is done with a job that came at {@code arrived}. */
    void answered(long arrived, long now) {
        // What came before there was a limit says nothing about it.
        if (measured() && arrived - learntAt >= 0 && !isFromOutage(arrived)) {
            aim = now - arrived > LATEST * target ? Math.max(LEAST_AIM, aim * DOWN) : Math.min(AIM, aim * UP);
        }
    }

    /** A worker had nothing to do for so long. */
    void waited(long nanos) {
        window.waited += nanos;
    }

    /** So many workers have loaded the model. */
    void workers(int ready, long now) {
        if (ready != workers) {
            if (workers == 0) {
                readySince = now;
            }
            workers = ready;
            window.begin(now);
        }
    }

    /** A worker comes for its next batch. */
    void nextBatch(long now) {
        window.batches++;
        long elapsed = now - window.since;
        if (target == 0 || workers == 0 || window.batches < 2 * workers || elapsed < target / 2) {
            return;
        }
        if (window.taken > 0 && window.waited < MOSTLY * elapsed) {
            measure(elapsed - window.waited, now);
        } else if (window.refused > 0 && measured()) {
            limit = Math.min(capacity, Math.max(limit + 1, GROWTH * limit));
        }
        window.begin(now);
    }

    private void measure(long busy, long now) {
        double running = (double) workers * window.taken / window.batches;
        double room = aim * target * window.taken / busy - running;
        double time = (double) workers * busy / window.batches;
        batchTime = Double.isNaN(batchTime) ? time : batchTime + (time - batchTime) / SMOOTHING;
        if (!measured()) {
            learntAt = now;
        }
        learnt = Math.min(MEMORY_NS, learnt + busy);
        double share = room > limit ? 1 / SMOOTHING : Math.min(1 / SMOOTHING, busy / MEMORY_NS);
        limit += (room - limit) * Math.max(share, busy / learnt);
        // One for each worker, so that none runs dry, and one for another client's.
        limit = Math.min(capacity, Math.max(workers + 1, limit));
    }

    /** Members of a JSON object. */
    String json() {
        return String.format(
                "\"capacity\":%d,\"p99_ms\":%s,\"batch_ms\":%s",
                jobs(), target > 0 ? Double.toString(target / 1e6) : "null", measured() ? Double.toString(batchTime / 1e6) : "null");
    }

    /** What happened since a worker came for a batch. */
    private static final class Window {
        long since;
        int batches;
        int taken;
        int refused;
        long waited;

        void begin(long now) {
            since = now;
            batches = 0;
            taken = 0;
            refused = 0;
            waited = 0;
        }
    }
}

package onnxserve;

import java.lang.reflect.Field;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentMap;
import java.util.concurrent.LinkedBlockingDeque;
import java.util.concurrent.locks.ReentrantLock;
import org.pytorch.serve.job.Job;
import org.pytorch.serve.wlm.Model;
import org.pytorch.serve.wlm.ModelManager;
import org.pytorch.serve.wlm.WorkerThread;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Gives every registered model a {@link BatchQueue} while its worker is still starting.
 *
 * <p>TorchServe sends no event when a model is registered or unregistered, so a thread polls. Jobs that wait
 * when their model is unregistered are answered; TorchServe itself would forget them.
 */
final class Adoption {
    private static final Logger LOGGER = LoggerFactory.getLogger(Adoption.class);
    // Much shorter than the second that a worker needs to start, so the queue is in place before the worker polls.
    private static final long PERIOD_MS = 20;

    private final Map<Model, BatchQueue> queues = new ConcurrentHashMap<>();
    /** The replaced queues; jobs may still be offered to them for a moment. */
    private final Map<Model, LinkedBlockingDeque<Job>> replaced = new ConcurrentHashMap<>();

    private final Field jobsDb;
    private final Field lock;

    private Adoption() throws NoSuchFieldException {
        jobsDb = open("jobsDb");
        lock = open("lock");
    }

    private static Field open(String name) throws NoSuchFieldException {
        Field field = Model.class.getDeclaredField(name);
        field.setAccessible(true);
        return field;
    }

    /** Starts the thread; returns the queues of all models, which it keeps up to date. */
    static Map<Model, BatchQueue> start() {
        try {
            Connection.prepare();
            Adoption adoption = new Adoption();
            Thread thread = new Thread(adoption::watch, "onnxserve-batching");
            thread.setDaemon(true);
            thread.start();
            return adoption.queues;
        } catch (NoSuchFieldException | RuntimeException | LinkageError error) {
            LOGGER.error("batches wait the whole maxBatchDelay: this isn't TorchServe 0.12.0", error);
            return Map.of();
        }
    }

    private void watch() {
        boolean failed = false;
        try {
            while (true) {
                Thread.sleep(PERIOD_MS);
                failed = ModelManager.getInstance() != null && fails(this::update, failed);
            }
        } catch (InterruptedException end) {
            Thread.currentThread().interrupt();
        }
    }

    /**
     * Returns whether a poll failed, for example because TorchServe changed a list meanwhile. The next poll
     * tries again, and only the first of consecutive failures is logged.
     */
    static boolean fails(Look look, boolean before) {
        try {
            look.run();
            return false;
        } catch (IllegalAccessException | RuntimeException error) {
            if (!before) {
                LOGGER.error("models that come or go aren't noticed; tried again", error);
            }
            return true;
        }
    }

    /** Updates the queues of all models once. */
    interface Look {
        void run() throws IllegalAccessException;
    }

    private void update() throws IllegalAccessException {
        Set<Model> registered = ConcurrentHashMap.newKeySet();
        for (var versions : ModelManager.getInstance().getAllModels()) {
            for (var entry : versions.getValue().getAllVersions()) {
                Model model = entry.getValue();
                registered.add(model);
                if (!queues.containsKey(model)) {
                    adopt(model);
                }
            }
        }
        for (Model model : queues.keySet()) {
            if (!registered.contains(model)) {
                queues.remove(model).close();
                replaced.remove(model);
            }
        }
        replaced.forEach((model, before) -> moveJobs(before, queues.get(model)));
        queues.forEach(Adoption::look);
    }

    /** Replaces the queue if no thread collects from it; otherwise the next poll tries again. */
    @SuppressWarnings("unchecked")
    private void adopt(Model model) throws IllegalAccessException {
        ReentrantLock collecting = (ReentrantLock) lock.get(model);
        if (!collecting.tryLock()) {
            return;
        }
        try {
            var jobs = (ConcurrentMap<String, LinkedBlockingDeque<Job>>) jobsDb.get(model);
            LinkedBlockingDeque<Job> before = jobs.get(Model.DEFAULT_DATA_QUEUE);
            if (before instanceof BatchQueue) {
                BatchQueue queue = (BatchQueue) before;
                queue.reopen();
                queues.put(model, queue);
                return;
            }
            int capacity = Math.max(before.remainingCapacity() + before.size(), 1);
            Runnable onDrop = ticketOf(model);
            BatchQueue queue = new BatchQueue(
                    capacity, LatencyTarget.of(model), model::getMaxBatchDelay, onDrop, System::nanoTime);
            jobs.put(Model.DEFAULT_DATA_QUEUE, queue);
            lock.set(model, LastIdleFirst.inPlaceOf(collecting, queue));
            queues.put(model, queue);
            replaced.put(model, before);
        } finally {
            collecting.unlock();
        }
    }

    private static void look(Model model, BatchQueue queue) {
        List<WorkerThread> workers = ModelManager.getInstance().getWorkers(model.getModelVersionName());
        queue.workers((int) workers.stream().filter(Worker::isReady).count());
        queue.outage(workers.stream().allMatch(Worker::failsToStart));
    }

    /**
     * With useJobTicket, each waiting worker allows one job. A dropped job must return its ticket, since the
     * worker still waits.
     */
    private static Runnable ticketOf(Model model) {
        return model.isUseJobTicket() ? model::incNumJobTickets : () -> {};
    }

    private static void moveJobs(LinkedBlockingDeque<Job> before, BatchQueue queue) {
        for (Job job = before.pollFirst(); job != null; job = before.pollFirst()) {
            if (!queue.offer(job)) {
                job.sendError(503, "The queue is full. Retry later.");
            }
        }
    }
}

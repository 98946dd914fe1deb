package onnxserve;

import java.io.IOException;
import java.lang.invoke.MethodHandle;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collection;
import java.util.ConcurrentModificationException;
import java.util.concurrent.atomic.AtomicReference;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.pytorch.serve.wlm.ModelManager;
import org.pytorch.serve.wlm.WorkerState;
import org.pytorch.serve.wlm.WorkerThread;

/**
 * The worker whose thread collects a batch.
 *
 * <p>A job that is given to the thread of a dead worker is lost. TorchServe interrupts that thread when it
 * notices the closed connection, which happens late on a busy machine. The kernel knows the process's state
 * at once.
 */
final class Worker {
    private static final MethodHandle THREAD = PrivateField.getter(WorkerThread.class, "currentThread");
    private static final MethodHandle RETRIES = PrivateField.getter(WorkerThread.class, "backoffIdx");
    // TorchServe counts from the last time that the model was loaded. The first retry may follow a healthy worker;
    // the second retry follows a failed start.
    private static final int FAILED_START = 2;
    private static final ThreadLocal<WorkerThread> LAST = new ThreadLocal<>();
    private static final Path PROC = Path.of("/proc");
    // proc_pid_status(5): states Z and X, or a pending SIGKILL, the lowest bit of the third hexadecimal digit from
    // the right.
    private static final Pattern ENDED = Pattern.compile("^(?:State:\\t[ZX]|S(?:ig|hd)Pnd:\\t\\p{XDigit}*[13579bdf]..$)", Pattern.MULTILINE);

    private Worker() {}

    /** Throws a LinkageError if the thread class isn't that of TorchServe 0.12.0. */
    static void prepare() {
        // The call initialises this class.
    }

    /**
     * Returns whether this thread's worker has loaded its model and is connected, according to TorchServe;
     * true outside of TorchServe.
     */
    static boolean isReady() {
        if (ModelManager.getInstance() == null) {
            return true;
        }
        WorkerThread worker = ofThisThread();
        return worker != null && isReady(worker);
    }

    /** Ends a thread's wait for jobs if its worker has no model, so that TorchServe restarts the worker. */
    static void checkReady() throws InterruptedException {
        if (!isReady()) {
            throw new InterruptedException("the worker has no model");
        }
    }

    /** Returns whether this thread's worker is ready and its process runs, according to the kernel. */
    static boolean isAlive() {
        return isReady() && (LAST.get() == null || runs(LAST.get().getPid()));
    }

    /** Returns whether a worker has loaded its model and is connected, according to TorchServe. */
    static boolean isReady(WorkerThread worker) {
        return worker.getState() == WorkerState.WORKER_MODEL_LOADED;
    }

    /** Returns whether a restart of the worker has failed since it last had its model, or since its creation. */
    static boolean failsToStart(WorkerThread worker) {
        try {
            return !isReady(worker) && (int) RETRIES.invoke(worker) >= FAILED_START;
        } catch (Throwable error) {
            throw new IllegalStateException(error);
        }
    }

    /** Returns whether a process runs and isn't being killed; without /proc, TorchServe's state decides. */
    static boolean runs(long pid) {
        try {
            Matcher ended = ENDED.matcher(Files.readString(PROC.resolve(Long.toString(pid)).resolve("status")));
            return !ended.find();
        } catch (IOException gone) {
            return !Files.isDirectory(PROC.resolve("self"));
        }
    }

    /**
     * Returns the worker of this thread, or null after the connection closed, since TorchServe then forgets
     * the thread.
     */
    private static WorkerThread ofThisThread() {
        WorkerThread last = LAST.get();
        if (last != null && isOfThisThread(last)) {
            return last;
        }
        for (WorkerThread worker : all()) {
            if (isOfThisThread(worker)) {
                LAST.set(worker);
                return worker;
            }
        }
        return null;
    }

    /** Retries the copy: TorchServe's list isn't safe while another thread scales a model. */
    private static Collection<WorkerThread> all() {
        while (true) {
            try {
                return ModelManager.getInstance().getWorkers().values();
            } catch (ConcurrentModificationException changed) {
                Thread.onSpinWait();
            }
        }
    }

    private static boolean isOfThisThread(WorkerThread worker) {
        try {
            return ((AtomicReference<?>) THREAD.invoke(worker)).get() == Thread.currentThread();
        } catch (Throwable error) {
            throw new IllegalStateException(error);
        }
    }
}

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
 * <p>A worker that ends takes what its thread gives it with it. TorchServe interrupts the thread when it
 * notices the closed connection, which on a busy machine is later. The kernel knows at once.
 */
final class Worker {
    private static final MethodHandle THREAD = PrivateField.getter(WorkerThread.class, "currentThread");
    private static final MethodHandle RETRIES = PrivateField.getter(WorkerThread.class, "backoffIdx");
    // TorchServe counts from when the model was loaded last: the first retry may follow a worker that was well, the
    // second one follows a start that failed.
    private static final int FAILED_START = 2;
    private static final ThreadLocal<WorkerThread> LAST = new ThreadLocal<>();
    private static final Path PROC = Path.of("/proc");
    // proc_pid_status(5): zombies and the dead; SIGKILL, the lowest bit of the third digit, is on its way.
    private static final Pattern ENDED = Pattern.compile("^(?:State:\\t[ZX]|S(?:ig|hd)Pnd:\\t\\p{XDigit}*[13579bdf]..$)", Pattern.MULTILINE);

    private Worker() {}

    /** Fails with a LinkageError where threads aren't TorchServe 0.12.0's. */
    static void prepare() {
        // Initialises the class.
    }

    /** This thread's worker has loaded its model and is connected, as far as TorchServe knows. True outside of TorchServe. */
    static boolean isReady() {
        if (ModelManager.getInstance() == null) {
            return true;
        }
        WorkerThread worker = ofThisThread();
        return worker != null && isReady(worker);
    }

    /** The same, and the kernel says that its process runs. */
    static boolean isAlive() {
        return isReady() && (LAST.get() == null || runs(LAST.get().getPid()));
    }

    /** It has loaded its model and is connected, as far as TorchServe knows. */
    static boolean isReady(WorkerThread worker) {
        return worker.getState() == WorkerState.WORKER_MODEL_LOADED;
    }

    /** It has been started again since it had its model, or since it was made, and failed. */
    static boolean failsToStart(WorkerThread worker) {
        try {
            return !isReady(worker) && (int) RETRIES.invoke(worker) >= FAILED_START;
        } catch (Throwable error) {
            throw new IllegalStateException(error);
        }
    }

    /** A process runs and isn't being killed; where there is no /proc, TorchServe's word must do. */
    static boolean runs(long pid) {
        try {
            Matcher ended = ENDED.matcher(Files.readString(PROC.resolve(Long.toString(pid)).resolve("status")));
            return !ended.find();
        } catch (IOException gone) {
            return !Files.isDirectory(PROC.resolve("self"));
        }
    }

    /** Null when the connection has ended, since TorchServe then forgets the thread. */
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

    /** TorchServe's list isn't safe against another thread that scales a model. */
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

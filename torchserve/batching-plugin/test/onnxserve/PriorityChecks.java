package onnxserve;

import static onnxserve.Checks.check;
import static onnxserve.Checks.equal;

import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Random;

/** Order and shares of the priorities. */
final class PriorityChecks {
    private PriorityChecks() {}

    private static String name(Priority priority) {
        return priority.name().toLowerCase(java.util.Locale.ROOT);
    }

    private static Priority priority(FakeJob job) {
        return Priority.of(job.getPayload().getHeaders().get(Priority.HEADER));
    }

    static void urgentGoesFirstAndBatchLast() {
        BatchQueue queue = Checks.queue(100);
        for (String priority : List.of("batch", "normal", "urgent", "batch", "nonsense", "urgent")) {
            queue.offer(FakeJob.of("client", priority));
        }
        List<Priority> order = new ArrayList<>();
        for (int i = 0; i < 6; i++) {
            order.add(priority((FakeJob) queue.poll()));
        }
        Priority normal = Priority.NORMAL;
        equal(List.of(Priority.URGENT, Priority.URGENT, normal, normal, Priority.BATCH, Priority.BATCH), order);
    }

    static void batchFillsTheGapsButForAThirtyThirdOfTheTurns() {
        Map<Priority, Integer> taken = flood(Priority.NORMAL, Priority.BATCH);
        equal(3300 / 33, taken.get(Priority.BATCH));
    }

    static void normalKeepsANinthBesideUrgent() {
        Map<Priority, Integer> taken = flood(Priority.URGENT, Priority.NORMAL);
        equal(3300 / 9, taken.get(Priority.NORMAL));
    }

    /** Returns the number of turns that each priority gets out of 3,300 while all of them have waiting jobs. */
    private static Map<Priority, Integer> flood(Priority... priorities) {
        BatchQueue queue = Checks.queue(100_000);
        Map<Priority, Integer> taken = new EnumMap<>(Priority.class);
        for (int i = 0; i < 3300; i++) {
            for (Priority priority : priorities) {
                queue.offer(FakeJob.of("client", name(priority)));
            }
        }
        for (int i = 0; i < 3300; i++) {
            taken.merge(priority((FakeJob) queue.poll()), 1, Integer::sum);
        }
        return taken;
    }

    /** The head of a queue waits for its patience, and one turn for each other starving priority. */
    static void noPriorityWaitsForMoreTurnsThanItsBound() {
        for (int seed = 0; seed < 50; seed++) {
            Random random = new Random(seed);
            Scheduler scheduler = new Scheduler();
            Map<Priority, Integer> passed = new EnumMap<>(Priority.class);
            Map<Priority, Integer> waiting = new EnumMap<>(Priority.class);
            for (int turn = 0; turn < 5000; turn++) {
                for (Priority priority : Priority.values()) {
                    if (random.nextInt(3) > 0) {
                        FakeJob job = FakeJob.of("c" + random.nextInt(4), name(priority));
                        scheduler.add(new QueuedJob(job, System.nanoTime()));
                        waiting.merge(priority, 1, Integer::sum);
                    }
                }
                QueuedJob job = scheduler.take();
                if (job == null) {
                    continue;
                }
                waiting.merge(job.priority, -1, Integer::sum);
                passed.put(job.priority, 0);
                for (Priority priority : Priority.values()) {
                    if (priority != job.priority && waiting.getOrDefault(priority, 0) > 0) {
                        int turns = passed.merge(priority, 1, Integer::sum);
                        boolean bounded = priority == Priority.URGENT || turns <= priority.patience + 1;
                        check(bounded, "seed %d: %s was passed over %d times", seed, priority, turns);
                    }
                }
            }
        }
    }
}

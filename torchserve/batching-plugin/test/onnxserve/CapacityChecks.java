package onnxserve;

import static onnxserve.Checks.check;
import static onnxserve.Checks.equal;
import static onnxserve.Checks.refused;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;

/** Behaviour of a full queue. */
final class CapacityChecks {
    private CapacityChecks() {}

    private static List<FakeJob> fill(BatchQueue queue, int jobs, String client, String priority) {
        List<FakeJob> filled = new ArrayList<>();
        for (int i = 0; i < jobs; i++) {
            FakeJob job = FakeJob.of(client, priority);
            check(!refused(queue, job), "job %d of %s was refused", i, client);
            filled.add(job);
        }
        return filled;
    }

    static void aFullQueueRefusesTheClientThatFillsIt() {
        BatchQueue queue = Checks.queue(10);
        fill(queue, 10, "flood", "normal");
        check(refused(queue, FakeJob.of("flood")), "the eleventh was taken");
        equal(10, queue.size());
        equal(0, queue.remainingCapacity());
    }

    static void aFullQueueTakesOthersAndAnswersTheFloodsLastWith503() {
        BatchQueue queue = Checks.queue(10);
        List<FakeJob> flood = fill(queue, 10, "flood", "normal");
        for (int i = 1; i <= 5; i++) {
            check(!refused(queue, FakeJob.of("other")), "job %d of the other client was refused", i);
            equal(503, flood.get(10 - i).status);
            equal(10, queue.size());
        }
        check(refused(queue, FakeJob.of("other")), "a sixth would be more than half");
        check(refused(queue, FakeJob.of("flood")), "the flood can't take it back");
        equal(0, flood.get(4).status);
    }

    static void moreUrgentRequestsDisplaceLessUrgentOnesDownToTheirGuarantee() {
        BatchQueue queue = Checks.queue(99);
        fill(queue, 99, "nightly", "batch");
        int taken = 0;
        while (!refused(queue, FakeJob.of("user", "normal"))) {
            taken++;
        }
        equal(96, taken);
        check(!refused(queue, FakeJob.of("doctor", "urgent")), "urgent was refused");
        check(refused(queue, FakeJob.of("nightly", "batch")), "batch has its guarantee already");
    }

    static void aLessUrgentPriorityEntersAQueueFullOfOthersUpToItsGuarantee() {
        BatchQueue queue = Checks.queue(99);
        List<FakeJob> urgent = fill(queue, 99, "flood", "urgent");
        int batch = 0;
        while (!refused(queue, FakeJob.of("nightly", "batch"))) {
            batch++;
        }
        equal(3, batch);
        equal(3L, urgent.stream().filter(job -> job.status == 503).count());
    }

    static void whereThereIsRoomForFewTheMoreUrgentGetIt() {
        BatchQueue queue = Checks.queue(2);
        FakeJob nightly = fill(queue, 1, "nightly", "batch").get(0);
        fill(queue, 1, "user", "normal");
        check(!refused(queue, FakeJob.of("doctor", "urgent")), "urgent was refused");
        equal(503, nightly.status);
        check(refused(queue, FakeJob.of("nightly", "batch")), "batch took what was urgent's or normal's");
        check(refused(queue, FakeJob.of("other", "normal")), "normal has its guarantee already");
    }

    static void aQueueForOneJobIsNotTakenFromItsHolder() {
        BatchQueue queue = Checks.queue(1);
        FakeJob first = FakeJob.of("a");
        queue.offer(first);
        for (String priority : List.of("batch", "normal")) {
            check(refused(queue, FakeJob.of("b", priority)), "%s displaced it", priority);
        }
        check(queue.poll() == first, "it was lost");
    }

    static void aJobThatIsPutBackFindsRoomInAFullQueue() {
        BatchQueue queue = Checks.queue(3);
        fill(queue, 3, "a", "normal");
        FakeJob first = (FakeJob) queue.poll();
        fill(queue, 1, "a", "normal");
        queue.addFirst(first);
        equal(4, queue.size());
        equal(0, queue.remainingCapacity());
        check(queue.poll() == first, "it isn't first");
    }

    static void theQueueNeverHoldsMoreThanItsCapacity() {
        for (int seed = 0; seed < 50; seed++) {
            Random random = new Random(seed);
            int capacity = 1 + random.nextInt(40);
            BatchQueue queue = Checks.queue(capacity);
            List<FakeJob> offered = new ArrayList<>();
            int taken = 0;
            for (int i = 0; i < 3000; i++) {
                if (random.nextInt(3) < 2) {
                    Priority priority = Priority.values()[random.nextInt(3)];
                    FakeJob job = FakeJob.of("c" + random.nextInt(5), priority.name().toLowerCase(java.util.Locale.ROOT));
                    offered.add(job);
                    queue.offer(job);
                } else {
                    taken += queue.poll() == null ? 0 : 1;
                }
                check(queue.size() <= capacity, "seed %d: %d jobs, capacity %d", seed, queue.size(), capacity);
            }
            long answered = offered.stream().filter(job -> job.errors.get() > 0).count();
            equal((long) offered.size(), taken + answered + queue.size());
        }
    }
}

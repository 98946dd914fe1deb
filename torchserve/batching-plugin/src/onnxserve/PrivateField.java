package onnxserve;

import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.reflect.Field;

/** Fields of TorchServe's classes that nothing public gives. */
final class PrivateField {
    private PrivateField() {}

    /** Reads it, at the cost of a field; fails the initialisation of the class that calls where there is none. */
    static MethodHandle getter(Class<?> owner, String name) {
        try {
            Field field = owner.getDeclaredField(name);
            field.setAccessible(true);
            return MethodHandles.lookup().unreflectGetter(field);
        } catch (ReflectiveOperationException error) {
            throw new ExceptionInInitializerError(error);
        }
    }
}

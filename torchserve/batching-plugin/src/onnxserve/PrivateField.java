package onnxserve;

import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.reflect.Field;

/** Access to fields of TorchServe's classes that have no public getter. */
final class PrivateField {
    private PrivateField() {}

    /** Returns a getter as fast as a field access; if the field is missing, the calling class fails to initialise. */
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

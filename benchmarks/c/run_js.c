/*
 * Load one JavaScript file into QuickJS and run it: run-js FILE
 * `print` writes to stdout through stdio's buffer. Exit status 1 when the script throws, 2 for wrong usage.
 */
#include "quickjs.h"

#include <stdio.h>
#include <stdlib.h>

static JSValue print(JSContext* context, JSValueConst self, int count, JSValueConst* arguments) {
    (void)self;
    for (int i = 0; i < count; i++) {
        const char* text = JS_ToCString(context, arguments[i]);
        if (!text) return JS_EXCEPTION;
        printf("%s%s", i ? " " : "", text);
        JS_FreeCString(context, text);
    }
    putchar('\n');
    return JS_UNDEFINED;
}

int main(int argc, char** argv) {
    FILE* file = argc == 2 ? fopen(argv[1], "rb") : NULL;
    if (!file) {
        fprintf(stderr, "usage: run-js FILE\n");
        return 2;
    }
    fseek(file, 0, SEEK_END);
    long length = ftell(file);
    rewind(file);
    char* text = malloc((size_t)length + 1);
    JSRuntime* runtime = JS_NewRuntime();
    JSContext* context = runtime ? JS_NewContext(runtime) : NULL;
    if (!text || !context || fread(text, 1, (size_t)length, file) != (size_t)length) return 1;
    text[length] = 0;
    fclose(file);
    JSValue global = JS_GetGlobalObject(context);
    JS_SetPropertyStr(context, global, "print", JS_NewCFunction(context, print, "print", 1));
    JS_FreeValue(context, global);
    JSValue result = JS_Eval(context, text, (size_t)length, argv[1], JS_EVAL_TYPE_GLOBAL);
    int failed = JS_IsException(result);
    if (failed) {
        JSValue thrown = JS_GetException(context);
        const char* message = JS_ToCString(context, thrown);
        fprintf(stderr, "%s\n", message ? message : "unknown error");
        JS_FreeCString(context, message);
        JS_FreeValue(context, thrown);
    }
    JS_FreeValue(context, result);
    JS_FreeContext(context);
    JS_FreeRuntime(runtime);
    free(text);
    return fflush(stdout) != 0 || failed;
}

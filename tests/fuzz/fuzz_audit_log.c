/* Any bytes as an audit log: verifying it answers with a verdict, and reads nothing beyond the file. */
#include "reml_audit.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    char path[] = "/tmp/reml-fuzz-audit-XXXXXX";
    reml_audit_report_t report = REML_AUDIT_REPORT_INIT;
    int file = mkstemp(path);
    if (file < 0) return 0;
    if (write(file, data, size) == (ssize_t)size) {
        reml_audit_verify(path, NULL, &report);
        if (report.verdict < REML_AUDIT_VERDICT_OK || report.verdict > REML_AUDIT_VERDICT_UNREADABLE) __builtin_trap();
    }
    close(file);
    unlink(path);
    return 0;
}

// Prints the measurements as one JSON object.
#include "load.h"

#include <stdarg.h>
#include <string.h>
#include <sys/resource.h>

struct totals totals;

void note_error(uint64_t *counter, const char *format, ...) {
  if (!totals.first_error[0]) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(totals.first_error, sizeof totals.first_error, format, arguments);
    va_end(arguments);
  }
  ++*counter;
}

static uint64_t earlier_errors;

uint64_t error_count(void) {
  return totals.connect_errors + totals.tls_errors + totals.resets + totals.early_closes + totals.timeouts +
         totals.bad_http + totals.bad_status + totals.bad_length + totals.bad_hash + totals.faults;
}

uint64_t all_errors(void) { return earlier_errors + error_count(); }

void report_interval(FILE *file) {
  totals.ended = now();
  report(file);
  fflush(file);
  earlier_errors += error_count();
  uint64_t ended = totals.ended;
  totals = (struct totals){.began = ended};
}

static void quoted(FILE *file, const char *text) {
  fputc('"', file);
  for (; *text; text++) {
    unsigned char byte = (unsigned char)*text;
    if (byte == '"' || byte == '\\') fprintf(file, "\\%c", byte);
    else if (byte < 32 || byte > 126) fprintf(file, "\\u%04x", byte);
    else fputc(byte, file);
  }
  fputc('"', file);
}

static void latency(FILE *file, const char *name, const struct histogram *histogram) {
  fprintf(file, "\"%s\": {\"count\": %llu, \"mean\": %.4f, \"p50\": %.4f, \"p90\": %.4f, \"p99\": %.4f, \"max\": %.4f}",
          name, (unsigned long long)histogram->total,
          histogram->total ? histogram->sum / (double)histogram->total / 1e6 : 0, histogram_ms(histogram, 0.5),
          histogram_ms(histogram, 0.9), histogram_ms(histogram, 0.99), (double)histogram->max / 1e6);
}

void report(FILE *file) {
  double seconds = (double)(totals.ended - totals.began) / 1e9;
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
#define COUNT(member) (unsigned long long)totals.member
  fprintf(file, "{\n \"seconds\": %.4f, \"requests\": %llu, \"runs\": %llu, \"rate\": %.2f, \"bytes\": %llu,\n", seconds,
          COUNT(requests), COUNT(runs), (double)totals.requests / seconds, COUNT(bytes));
  fprintf(file, " \"connections\": %llu, \"resumed\": %llu, \"tls\": ", COUNT(connections), COUNT(resumed));
  quoted(file, totals.tls_version);
  fputs(", \"cipher\": ", file);
  quoted(file, totals.cipher);
  fprintf(file, ",\n \"load_cpu_seconds\": %.3f,\n",
          (double)usage.ru_utime.tv_sec + (double)usage.ru_stime.tv_sec +
              (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6);
  fprintf(file,
          " \"errors\": %llu, \"error\": {\"connect\": %llu, \"tls\": %llu, \"reset\": %llu, \"closed\": %llu, "
          "\"timeout\": %llu, \"http\": %llu, \"status\": %llu, \"length\": %llu, \"hash\": %llu, \"fault\": %llu},\n",
          (unsigned long long)error_count(), COUNT(connect_errors), COUNT(tls_errors), COUNT(resets),
          COUNT(early_closes), COUNT(timeouts), COUNT(bad_http), COUNT(bad_status), COUNT(bad_length),
          COUNT(bad_hash), COUNT(faults));
#undef COUNT
  fputs(" \"first_error\": ", file);
  quoted(file, totals.first_error);
  fputs(",\n ", file);
  latency(file, "latency_ms", &totals.latency);
  fputs(",\n ", file);
  latency(file, "handshake_ms", &totals.handshake);
  fputs(",\n ", file);
  latency(file, "run_ms", &totals.run);
  fputs(",\n \"calls\": {", file);
  for (unsigned i = 0; options.connections && i < options.call_count; i++) {
    fputs(i ? ",\n  " : "\n  ", file);
    latency(file, options.calls[i].name, &totals.per_call[i]);
  }
  fputs("},\n \"faults\": {", file);
  report_faults(file);
  fputs("}\n}\n", file);
}

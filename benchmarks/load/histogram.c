// Latencies in classes 1 % wide: constant memory, quantiles accurate to 1 %.
#include "load.h"

#include <math.h>
#include <string.h>

// The class of a latency: class i starts at 1 µs * 1.01^i.
static unsigned class_of(uint64_t ns) {
  if (ns <= 1000) return 0;
  double position = __builtin_log((double)ns / 1000.0) / 0.009950330853168083;  // ln 1.01
  return position >= HISTOGRAM_CLASSES - 1 ? HISTOGRAM_CLASSES - 1 : (unsigned)position;
}

void histogram_add(struct histogram *histogram, uint64_t ns) {
  histogram->counts[class_of(ns)]++;
  histogram->total++;
  histogram->sum += (double)ns;
  if (ns > histogram->max) histogram->max = ns;
}

double histogram_ms(const struct histogram *histogram, double quantile) {
  if (!histogram->total) return 0;
  uint64_t wanted = (uint64_t)((double)histogram->total * quantile), seen = 0;
  if (wanted >= histogram->total) return (double)histogram->max / 1e6;
  for (unsigned i = 0; i < HISTOGRAM_CLASSES; i++) {
    seen += histogram->counts[i];
    if (seen > wanted) {
      double upper = 0.001 * __builtin_exp(0.009950330853168083 * (i + 1)), max = (double)histogram->max / 1e6;
      return upper < max ? upper : max;
    }
  }
  return (double)histogram->max / 1e6;
}

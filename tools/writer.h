/*
 * Output: JSON as one document, text with a little colour where a person reads it (a terminal, and NO_COLOR is not set).
 */
#ifndef BITS_WRITER_H
#define BITS_WRITER_H

#include <jansson.h>

enum writer_style { WRITER_DIM, WRITER_GOOD, WRITER_BAD };

/** writer_begin(s), writer_end(): what is printed between them has that colour; nothing where there is no colour. */
void writer_begin(enum writer_style s);
void writer_end(void);

/** writer_json(doc): one document on standard output, indented, keys in the order of the reply. */
void writer_json(const json_t *doc);

/** writer_line(doc): the same on one line, for streams of documents. */
void writer_line(const json_t *doc);

/** writer_flush(): all is out: 0; -1: it could not be written (told). */
int writer_flush(void);

#endif

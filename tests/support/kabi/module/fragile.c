// SPDX-License-Identifier: GPL-2.0
/*
 * Imports one more symbol, and does nothing with it. Its checksum is the kernel's, whatever is declared here: no header
 * may be included that knows its type.
 */
extern const char CAMERA_FRAGILE_SYMBOL[];
static const void *const fragile __used = CAMERA_FRAGILE_SYMBOL;

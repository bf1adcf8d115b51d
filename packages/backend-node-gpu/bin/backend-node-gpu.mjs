#!/usr/bin/env node
import '../dist/install/main.js';
